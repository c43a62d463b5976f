"""Writer of open-unlearning's evaluation log: our records and measurements under its names, so that
its tools and readers take them.

Membership scores are turned round (its are higher for strangers). Extraction strength is ours: its
own never reaches 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from expunge.core.results import Measurement, Record, Records
from expunge.interop.open_unlearning_log import LOSSES, MUSE, ROLES, VERBATIM
from expunge.scoring.per_row import (
    longest_hit_suffix,
    min_k_of,
    min_k_plus_plus_of,
    probability_of,
    rouge_l_f1_of,
    tokens,
)
from expunge.scoring.per_row import rouge_1_recall_of as rouge_1
from expunge.scoring.per_row import rouge_l_recall_of as rouge_l

SHORT = {ours: theirs for theirs, ours in ROLES.items()}
WHOLE = ("model_utility", "forget_quality", "privleak")
TEXTS = {"input": "question", "ground_truth": "answer", "generation": "generated"}
Score = Callable[[Record], float | None]


def peer_log(
    records: Records,
    measured: Mapping[str, Measurement],
    gold: Records | None = None,
    *,
    texts: bool = True,
) -> dict[str, Any]:
    """The log as a JSON object: {metric: {"agg_value": number, "value_by_index": {row number:
    {...}}}}.

    Rows are numbered in order. ``gold``: for the reference attack. ``texts``: whether questions,
    answers and outputs are in it.
    """
    log: dict[str, Any] = {}
    for role in records.roles():
        rows = records.of(role)
        short = SHORT.get(role, role)
        if rows and role != "holdout":
            log |= (
                _losses(records, role, short, rows)
                | _rouge(rows, short, texts)
                | _truth(records, role, short, rows, measured)
            )
    hits = records.of(VERBATIM) or records.of("forget")
    there = all(r.hit is not None for r in hits)
    log |= _block("exact_memorization", hits, lambda r: {"score": _exact(r)}, there)
    log |= _block("extraction_strength", hits, lambda r: {"score": _strength(r)}, there)
    log |= _membership(records, gold)
    aggregates = {
        name: m.value for name, m in measured.items() if name in WHOLE and m.value is not None
    }
    return log | {name: {"agg_value": value} for name, value in aggregates.items()}


def _block(
    name: str,
    rows: Sequence[Record],
    fn: Callable[[Record], dict[str, Any]],
    there: bool,
    agg: str = "score",
) -> dict[str, Any]:
    if not rows or not there:
        return {}
    found = [fn(r) for r in rows]
    return {
        name: {
            "agg_value": float(np.mean([np.mean(x[agg]) for x in found])),
            "value_by_index": {str(i): x for i, x in enumerate(found)},
        }
    }


def _losses(records: Records, role: str, short: str, rows: Sequence[Record]) -> dict[str, Any]:
    """Probability and loss of answers, paraphrases and wrong answers (a list for each row)."""
    found: dict[str, Any] = {}
    for ending, variant in LOSSES.items():
        if variant == "perturbed":
            wrong = records.variants(role, "perturbed/")
            there = all(r.id in wrong for r in rows)
            if there:
                values = {r.id: _several(wrong[r.id]) for r in rows}
            else:
                values = {}
        else:
            values = {r.id: _one(r) for r in records.of(role, variant) if _has_loss(r)}
            there = all(r.id in values for r in rows)
        found |= _block(f"{short}_{ending}", rows, partial(_looked_up, values), there, "prob")
    return found


def _has_loss(row: Record) -> bool:
    return row.logp is not None or row.mean_loss is not None


def _one(row: Record) -> dict[str, Any]:
    return {"prob": probability_of(row), "avg_loss": row.loss}


def _several(rows: Sequence[Record]) -> dict[str, Any]:
    return {"prob": [probability_of(r) for r in rows], "avg_loss": [r.loss for r in rows]}


def _looked_up(values: Mapping[str, Any], row: Record) -> Any:
    return values[row.id]


def _rouge(rows: Sequence[Record], short: str, texts: bool) -> dict[str, Any]:
    def row(r: Record) -> dict[str, Any]:
        a = r.answer or ""
        g = r.generated or ""
        if texts:
            said = {theirs: getattr(r, ours) or "" for theirs, ours in TEXTS.items()}
        else:
            said = {}
        return {
            "rouge1_recall": rouge_1(a, g),
            "rougeL_f1": rouge_l_f1_of(a, g, True),
            "rougeL_recall": rouge_l(a, g),
        } | said

    there = all(r.answer is not None and r.generated is not None for r in rows)
    if f"{short}_ROUGE" in MUSE:
        return _block(f"{short}_ROUGE", rows, row, there, "rougeL_f1")
    return _block(f"{short}_Q_A_ROUGE", rows, row, there, "rougeL_recall")


def _truth(
    records: Records,
    role: str,
    short: str,
    rows: Sequence[Record],
    measured: Mapping[str, Measurement],
) -> dict[str, Any]:
    """exp(loss of the right answer - mean loss of the wrong ones) of each row, and the aggregate
    that was measured.
    """
    m = measured.get(f"{role}/truth_ratio")
    wrong = records.variants(role, "perturbed/")
    if m is None or m.value is None:
        return {}
    right = {r.id: r for r in records.of(role, "paraphrase") or rows}
    scores = []
    for r in rows:
        of_wrong = np.mean([w.loss for w in wrong[r.id]])
        scores.append(float(np.exp(right[r.id].loss - of_wrong)))
    name = "forget_truth_ratio" if role == "forget" else f"{short}_Truth_Ratio"
    return {
        name: {
            "agg_value": m.value,
            "value_by_index": {str(i): {"score": x} for i, x in enumerate(scores)},
        }
    }


def _exact(r: Record) -> float:
    assert r.hit is not None
    return float(np.mean(tokens(r.hit, r, False)))


def _strength(r: Record) -> float:
    assert r.hit is not None
    hit = tokens(r.hit, r, False)
    return longest_hit_suffix(hit) / len(hit)


def _membership(records: Records, gold: Records | None) -> dict[str, Any]:
    if gold is not None:
        theirs = {(r.role, r.id): r for role in ("forget", "holdout") for r in gold.of(role)}
    else:
        theirs = {}
    scores: dict[str, Score] = {
        "mia_loss": lambda r: r.loss if r.logp is not None or r.mean_loss is not None else None,
        "mia_zlib": lambda r: r.loss / r.zlib if r.zlib and r.logp is not None else None,
        "mia_min_k": lambda r: -min_k_of(r, 0.4, False) if r.logp is not None else None,
        "mia_min_k_plus_plus": lambda r: (
            -min_k_plus_plus_of(r, 0.4, False) if r.var_logp is not None else None
        ),
        "mia_reference": lambda r: (
            round(r.loss - theirs[r.role, r.id].loss, 4) if (r.role, r.id) in theirs else None
        ),
        "mia_gradnorm": lambda r: (
            float(r.observed["grad_norm"][3]) if "grad_norm" in r.observed else None
        ),
    }
    # the reference attack is rounded as in ours: two passes over the same weights differ by 1e-6
    found: dict[str, Any] = {}
    for name, fn in scores.items():
        sides = {}
        for role in ("forget", "holdout"):
            x = [fn(r) for r in records.of(role)]
            if x and None not in x:
                sides[role] = {
                    "agg_value": float(np.mean(np.array(x, dtype=np.float64))),
                    "value_by_index": {str(i): {"score": s} for i, s in enumerate(x)},
                }
        if len(sides) == 2:
            found[name] = sides | _auc(sides)
    return found


def _auc(sides: Mapping[str, Any]) -> dict[str, float]:
    from expunge.scoring.bootstrap import auc

    scores = []
    for role in ("forget", "holdout"):
        rows = sides[role]["value_by_index"].values()
        scores.append(-np.array([row["score"] for row in rows]))
    value = auc(*scores)
    return {"auc": value, "agg_value": value}
