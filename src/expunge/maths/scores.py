"""From rows of Records to one number per row, and from these to Measurements: what several metrics share.

Nats throughout, in log space as long as possible. `eos` says whether the end-of-sequence token that closes an answer counts; the
literature disagrees, so each metric has its own default and says it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.special import logsumexp

from expunge.core.records import Record, Records, values
from expunge.core.types import Better, Measurement, unscored
from expunge.maths.statistics import auc, auc_interval, group_codes, mean_interval

UNLEARNED_ROLES = ("forget", "holdout")  # what the model should be like gold on; on every other role more is better
OPTION_OF = {"holdout": "--holdout", "forget": "--forget", "retain": "--retain"}
READS = {  # what a token-wise score reads of a Record
    "exact_memorisation": ("hit",),
    "extraction_strength": ("hit",),
    "mia_min_k": ("logp",),
    "mia_min_k_plus_plus": ("logp", "mean_logp", "var_logp"),
}


def better_for(role: str) -> Better:
    """Which way is better for how well a role is known: like gold on forget and holdout, higher elsewhere."""
    return "gold" if role in UNLEARNED_ROLES else "higher"


def ids_of(rows: Sequence[Record]) -> list[str]:
    """The ids of rows."""
    return [r.id for r in rows]


def groups_of(rows: Sequence[Record]) -> list[str]:
    """The group of each row: the labels for the cluster bootstrap."""
    return [r.group for r in rows]


# ------------------------------------------------------------------ why there is no number


def no_rows(role: str) -> str:
    """The reason when a role has no rows; names the option that would bring them."""
    return f"no rows of role {role}" + (f"; give {OPTION_OF[role]}" if role in OPTION_OF else "")


def lacking(rows: Sequence[Record], role: str, name: str, fields: Sequence[str]) -> str | None:
    """The reason why ``name`` cannot be computed on ``rows``, or None. ``fields``: what a row must hold unless ``name`` is given."""
    if not rows:
        return no_rows(role)
    for field in fields:
        present = (lambda r: r.mean_loss if r.mean_loss is not None else r.logp) if field == "loss" else (lambda r, f=field: getattr(r, f))
        n = sum(1 for r in rows if name not in r.given and present(r) is None)
        if n:
            return f"{n} of {len(rows)} rows of role {role} hold no {field}"
    return None


def not_finite(x: np.ndarray, role: str) -> str | None:
    """The reason when per-row values are not all finite: a stand-in number would hide a broken model."""
    bad = int((~np.isfinite(x)).sum())
    return f"{bad} of {len(x)} rows of role {role} have no finite value" if bad else None


# ------------------------------------------------------------------ tokens -> a number per row


def tokens(x: np.ndarray, r: Record, eos: bool) -> np.ndarray:
    """Per-token values of a row, without its closing end-of-sequence token unless ``eos``; a row of that token alone keeps it."""
    return x[:-1] if r.eos and not eos and len(x) > 1 else x


def longest_hit_suffix(hit: np.ndarray) -> int:
    """How many tokens at the end are all arg-max: [T] -> 0..T."""
    missed = np.flatnonzero(~np.asarray(hit, dtype=bool))
    return len(hit) - 1 - int(missed[-1]) if len(missed) else len(hit)


def lowest_mean(x: np.ndarray, k: float) -> float:
    """Mean of the lowest int(k T) values, at least one: [T] -> 1."""
    n = max(1, int(len(x) * k))
    return float(np.mean(np.partition(np.asarray(x, dtype=np.float64), n - 1)[:n]))


def probability_of(r: Record) -> float:
    """exp(-mean loss): the geometric mean of the token probabilities, the end-of-sequence token included."""
    return float(np.exp(-r.loss))


# ------------------------------------------------------------------ several answers to one question


def wrong_losses(records: Records, role: str, rows: Sequence[Record]) -> list[np.ndarray] | str:
    """Mean losses of the wrong answers (variants ``perturbed/...``) of each row, or the reason why there are none."""
    found = records.variants(role, "perturbed/")
    without = sum(1 for r in rows if r.id not in found)
    if without:
        return f"{without} of {len(rows)} rows of role {role} have no wrong answers (variants perturbed/...)"
    flat = [w for r in rows for w in found[r.id]]
    return lacking(flat, role, "", ("loss",)) or [np.array([w.loss for w in found[r.id]]) for r in rows]


def choice_probabilities(records: Records, role: str, epsilon: float = 0.0) -> np.ndarray | str:
    """p(answer) / (p(answer) + sum of p(wrong) + epsilon) of each row, p = exp(-mean loss): [n] in 0..1, or the reason why not."""
    rows = records.of(role)
    reason = lacking(rows, role, "", ("loss",))
    wrong = reason or wrong_losses(records, role, rows)
    if isinstance(wrong, str):
        return wrong
    extra = [np.log(epsilon)] if epsilon else []
    return np.array([np.exp(-r.loss - logsumexp([-r.loss, *-w, *extra])) for r, w in zip(rows, wrong, strict=True)])


def log_truth_ratios(records: Records, role: str, epsilon: float = 0.0) -> tuple[list[Record], np.ndarray] | str:
    """log R = L(right) - mean_j L(wrong_j) of each row, L mean losses: (rows, [n]), or the reason why not.

    ``right`` is the paraphrased answer where the role has one, else the answer itself. ``epsilon`` is added to exp(-L(right)).
    """
    rows = records.of(role, "paraphrase") or records.of(role)
    reason = lacking(rows, role, "", ("loss",))
    wrong = reason or wrong_losses(records, role, rows)
    if isinstance(wrong, str):
        return wrong
    right = np.array([r.loss for r in rows])
    if epsilon:
        right = -np.logaddexp(-right, np.log(epsilon))
    return rows, right - np.array([w.mean() for w in wrong])


def truth_scores(log_ratio: np.ndarray, role: str) -> np.ndarray:
    """min(R, 1/R) on forget and holdout (1 = no preference), max(0, 1 - R) elsewhere (1 = prefers the truth): [n] in 0..1."""
    return np.exp(-np.abs(log_ratio)) if role in UNLEARNED_ROLES else -np.expm1(np.minimum(log_ratio, 0.0))


def rouge_l_recall_of(answer: str, generated: str, stemmer: bool = True) -> float:
    """Longest common subsequence of words over the words of the answer: 0..1 (package rouge-score)."""
    return float(_scorer(stemmer).score(answer, generated)["rougeL"].recall)


def _scorer(stemmer: bool):  # noqa: ANN202 - a type of a package that is imported late
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rougeL"], use_stemmer=stemmer)


# ------------------------------------------------------------------ Measurements


def mean_measurement(x: np.ndarray, rows: Sequence[Record], better: Better) -> Measurement:
    """The mean over rows with its clustered interval: [n] -> Measurement; unscored if a value is not finite."""
    reason = not_finite(x, rows[0].role)
    if reason:
        return unscored(reason, better)
    groups = groups_of(rows)
    return Measurement(float(np.mean(x)), len(x), len(set(groups)), mean_interval(x, groups), better)


def role_mean(
    records: Records, role: str, name: str, fn: Callable[[Record], float], fields: Sequence[str], variant: str = "answer"
) -> Measurement:
    """A per-row score averaged over one role, or the reason why there is none. ``fields``: what ``fn`` reads of a row."""
    rows, better = records.of(role, variant), better_for(role)
    reason = lacking(rows, role, name, fields)
    return unscored(reason, better) if reason else mean_measurement(values(rows, name, fn), rows, better)


def membership(
    records: Records, name: str, fn: Callable[[Record], float], fields: Sequence[str]
) -> tuple[list[Record], np.ndarray, list[Record], np.ndarray] | str:
    """Membership scores (higher = more likely a member) of forget and holdout rows, or the reason why not."""
    sides: list = []
    for role in ("forget", "holdout"):
        rows = records.of(role)
        reason = lacking(rows, role, name, fields)
        scores = np.empty(0) if reason else values(rows, name, fn)
        reason = reason or not_finite(scores, role)
        if reason:
            return reason
        sides += [rows, scores]
    return sides[0], sides[1], sides[2], sides[3]


def membership_auc(records: Records, name: str, fn: Callable[[Record], float], fields: Sequence[str]) -> Measurement:
    """P(score of a forget row > score of a holdout row), ties a half, with its interval over groups of both sides."""
    found = membership(records, name, fn, fields)
    if isinstance(found, str):
        return unscored(found, "gold")
    forget, x, holdout, y = found
    g, h = groups_of(forget), groups_of(holdout)
    n_groups = len(group_codes(g)[1]) + len(group_codes(h)[1])
    return Measurement(auc(x, y), len(x) + len(y), n_groups, auc_interval(x, g, y, h), "gold")
