"""From rows of Records to one number per row: what several metrics share.

Nats throughout, in log space as long as possible. ``eos`` says whether the end-of-sequence token
that closes an answer counts; the literature disagrees, so each metric has its own default and says
it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from scipy.special import logsumexp

from expunge.core.results import Record, Records

# what the model should be like gold on; on every other role more is better
UNLEARNED_ROLES = ("forget", "holdout")
DIVERGENCES = ("js", "kl", "reverse_kl", "tv")  # the order of a record's ``divergence``
OPTION_OF = {"holdout": "--holdout", "forget": "--forget", "retain": "--retain"}


def is_unlearned(role: str) -> bool:
    """Whether a role holds what is to be forgotten or was never learned: forget, holdout, and
    forget_... of benchmarks with several.
    """
    return role.split("_")[0] in UNLEARNED_ROLES


# ------------------------------------------------------------------ why there is no number


def no_rows(role: str) -> str:
    """The reason when a role has no rows; names the option that would bring them."""
    return f"no rows of role {role}; " + (
        f"give {OPTION_OF[role]}" if role in OPTION_OF else "add them to the folder of --data"
    )


def lacking(rows: Sequence[Record], role: str, name: str, fields: Sequence[str]) -> str | None:
    """The reason why ``name`` cannot be computed on ``rows``, or None.

    ``fields``: what a row must hold unless ``name`` is given.
    """
    if not rows:
        return no_rows(role)
    for field in fields:
        n = sum(1 for r in rows if name not in r.given and not _holds(r, field))
        if n:
            return f"{n} of {len(rows)} rows of role {role} hold no {field}"
    return None


def _holds(r: Record, field: str) -> bool:
    if field == "loss":
        return r.mean_loss is not None or r.logp is not None
    if field == "zlib":
        return r.zlib > 0
    return field in r.observed or getattr(r, field, None) is not None


def not_finite(x: np.ndarray, role: str) -> str | None:
    """The reason when per-row values are not all finite: a stand-in number would hide a broken
    model.
    """
    bad = int((~np.isfinite(x)).sum())
    return f"{bad} of {len(x)} rows of role {role} have no finite value" if bad else None


# ------------------------------------------------------------------ tokens -> a number per row


def tokens(x: np.ndarray, r: Record, eos: bool, last: bool = True) -> np.ndarray:
    """Per-token values of a row, without its closing end-of-sequence token unless ``eos``; a row of
    that token alone keeps it.

    ``last=False``: without the last token whatever it is.
    """
    dropped = (r.eos and not eos) or not last
    if dropped and len(x) > 1:
        return x[:-1]
    return x


def longest_hit_suffix(hit: np.ndarray) -> int:
    """How many tokens at the end are all arg-max: [T] -> 0..T."""
    missed = np.flatnonzero(~np.asarray(hit, dtype=bool))
    if len(missed):
        return len(hit) - 1 - int(missed[-1])
    return len(hit)


def hits_at_the_end(hit: np.ndarray, missed: int, share: float = 0.0) -> int:
    """How many arg-max tokens the longest suffix holds that misses at most ``missed`` tokens or
    this share of its own: [T] -> 0..T.
    """
    back = np.asarray(hit, dtype=bool)[::-1]
    lost = np.cumsum(~back)
    length = np.arange(1, len(back) + 1)
    fits = np.flatnonzero(lost <= np.maximum(missed, share * length + 1e-9))
    if len(fits):
        return int(back[: fits[-1] + 1].sum())
    return 0


def lowest_mean(x: np.ndarray, k: float) -> float:
    """Mean of the lowest int(k T) values, at least one: [T] -> 1."""
    n = max(1, int(len(x) * k))
    return float(np.mean(np.partition(np.asarray(x, dtype=np.float64), n - 1)[:n]))


def min_k_of(r: Record, k: float, eos: bool) -> float:
    """Mean log-probability of the k lowest-scored tokens of a row (k a fraction): nats, <= 0."""
    assert r.logp is not None
    return lowest_mean(tokens(r.logp, r, eos), k)


def min_k_plus_plus_of(r: Record, k: float, eos: bool, least_variance: float = 1e-6) -> float:
    """Mean of the k lowest (log p - mu) / sigma of a row; mu, sigma^2: mean and variance of log
    p(v) under the model at that place.
    """
    assert r.logp is not None and r.mean_logp is not None and r.var_logp is not None
    logp, mu, var = (
        tokens(np.asarray(x, dtype=np.float64), r, eos) for x in (r.logp, r.mean_logp, r.var_logp)
    )
    return lowest_mean((logp - mu) / np.sqrt(np.maximum(var, least_variance)), k)


def probability_of(r: Record) -> float:
    """exp(-mean loss): the geometric mean of the token probabilities, the end-of-sequence token
    included.
    """
    return float(np.exp(-r.loss))


def logit_of(r: Record) -> float:
    """log(p / (1 - p)), p the probability per token: the margin of the right answer; at most 27.6
    (p within 1e-12 of 1).
    """
    return float(-r.loss - np.log(max(-np.expm1(-r.loss), 1e-12)))


# ------------------------------------------------------------------ several answers to one question


def wrong_losses(records: Records, role: str, rows: Sequence[Record]) -> list[np.ndarray] | str:
    """Mean losses of the wrong answers (variants ``perturbed/...``) of each row, or the reason why
    there are none.
    """
    found = records.variants(role, "perturbed/")
    without = sum(1 for r in rows if r.id not in found)
    if without:
        return (
            f"{without} of {len(rows)} rows of role {role} have no wrong answers (variants "
            f"perturbed/...)"
        )
    flat = [w for r in rows for w in found[r.id]]
    reason = lacking(flat, role, "", ("loss",))
    if reason:
        return reason
    losses = []
    for r in rows:
        losses.append(np.array([w.loss for w in found[r.id]]))
    return losses


def choice_probabilities(records: Records, role: str, epsilon: float = 0.0) -> np.ndarray | str:
    """p(answer) / (p(answer) + sum of p(wrong) + epsilon) of each row, p = exp(-mean loss): [n] in
    0..1, or the reason why not.
    """
    rows = records.of(role)
    reason = lacking(rows, role, "", ("loss",))
    wrong = reason or wrong_losses(records, role, rows)
    if isinstance(wrong, str):
        return wrong
    extra = [np.log(epsilon)] if epsilon else []
    return np.array(
        [
            np.exp(-r.loss - logsumexp([-r.loss, *-w, *extra]))
            for r, w in zip(rows, wrong, strict=True)
        ]
    )


def log_truth_ratios(
    records: Records, role: str, epsilon: float = 0.0
) -> tuple[list[Record], np.ndarray] | str:
    """log R = L(right) - mean_j L(wrong_j) of each row, L mean losses: (rows, [n]), or the reason
    why not.

    ``right`` is the paraphrased answer where the role has one, else the answer itself. ``epsilon``
    is added to exp(-L(right)).
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
    """min(R, 1/R) on forget and holdout (1 = no preference), max(0, 1 - R) elsewhere (1 = prefers
    the truth): [n] in 0..1.
    """
    if is_unlearned(role):
        return np.exp(-np.abs(log_ratio))
    return -np.expm1(np.minimum(log_ratio, 0.0))


def before(text: str, ends: Sequence[str]) -> str:
    """The text up to the first of ``ends``: a model without an end of its own goes on to write the
    next question.
    """
    cut = len(text)
    for end in ends:
        at = text.find(end)
        if at >= 0:
            cut = min(cut, at)
    return text[:cut]


def beyond(text: str, end: str) -> str:
    """The text behind the last ``end``, all of it where that does not come: who never stops
    thinking must not look forgetful.
    """
    return text.rpartition(end)[2].strip() if end else text


def rouge_l_recall_of(answer: str, generated: str, stemmer: bool = True) -> float:
    """ROUGE-L recall of the package rouge-score, over the words of the answer; 0..1."""
    return float(
        _scorer(stemmer, "rougeL", _words_for(answer)).score(answer, generated)["rougeL"].recall
    )


def rouge_l_f1_of(answer: str, generated: str, stemmer: bool = False) -> float:
    """Harmonic mean of ROUGE-L recall and precision: 0..1 (package rouge-score)."""
    return float(
        _scorer(stemmer, "rougeL", _words_for(answer)).score(answer, generated)["rougeL"].fmeasure
    )


def rouge_1_recall_of(answer: str, generated: str, stemmer: bool = True) -> float:
    """Words of the answer that the text has, whatever the order, over the words of the answer: 0..1
    (package rouge-score).
    """
    return float(
        _scorer(stemmer, "rouge1", _words_for(answer)).score(answer, generated)["rouge1"].recall
    )


Words = Literal["package", "any script", "signs"]  # what counts as a word


@lru_cache
def _scorer(stemmer: bool, kind: str, words: Words) -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    own = {"package": None, "any script": _AnyScript(), "signs": _Signs()}
    return RougeScorer([kind], use_stemmer=stemmer, tokenizer=own[words])


# scripts that leave no space between words
UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
TOKEN = re.compile(f"[{UNSPACED}]|[^\\W{UNSPACED}]+")


BEYOND_LATIN = re.compile("[^\\W\\d_\u0000-\u036f\u1e00-\u1eff]")


def _words_for(answer: str) -> Words:
    """How an answer is cut into words, by what it is made of.

    The package keeps a-z and 0-9, which is enough for Latin scripts. Letters of other scripts, and
    answers of which it would keep nothing ("Å"), are cut by _AnyScript; answers without any letter
    or digit ("?!", emoji) are compared sign by sign.
    """
    if BEYOND_LATIN.search(answer) is None and re.search("[a-z0-9]", answer.lower()):
        return "package"
    return "any script" if _AnyScript().tokenize(answer) else "signs"


class _AnyScript:
    """Words of any script in lower case; one by one the letters of scripts without spaces."""

    def tokenize(self, text: str) -> list[str]:
        return TOKEN.findall(text.casefold())


class _Signs:
    """Every sign that is no white space."""

    def tokenize(self, text: str) -> list[str]:
        return [sign for sign in text if not sign.isspace()]
