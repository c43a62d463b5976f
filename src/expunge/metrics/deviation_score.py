"""Deviation score: the distance from a model that says nothing of what is to be forgotten and all
of what is to be kept.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from expunge.core.card import Card
from expunge.core.results import Measurement, Record, Records, unscored, values
from expunge.scoring.aggregate import groups_of
from expunge.scoring.bootstrap import mean_draws, percentile_interval
from expunge.scoring.per_row import lacking, no_rows, rouge_1_recall_of

card = Card(
    paper="Shen et al. 2025 (LUNAR)",
    url="https://arxiv.org/abs/2502.07218",
    where="deviation score",
    family=("aggregate",),
    evidence="reconstructed",
    better="lower",
    needs=("generation",),
    reads=("forget", "retain"),
    whole=True,
    differs="The formula is from memory: the abstract names the score only. It has no gold: a "
    "retrained model's ROUGE on forget is not "
    "0, so the least value is not the best model.",
)


def deviation_score(
    records: Records, gold: Records | None = None, *, roles: tuple[str, ...] = ("forget", "retain")
) -> Measurement:
    """100 sqrt(R_forget^2 + (1 - R_retain)^2), R the mean ROUGE-1 recall of a role; 0 to 141, lower
    is better.

    ``roles``: what is to be forgotten, what is to be kept. ``gold`` is not used. A report beside
    others, not a verdict.
    """
    means, drawn, n, sides = [], [], 0, []
    for stream, role in enumerate(roles):
        rows = records.of(role)
        reason = (
            lacking(rows, role, "rouge_1_recall", ("answer", "generated"))
            if rows
            else no_rows(role)
        )
        if reason:
            return unscored(reason, "lower")
        x, groups = values(rows, "rouge_1_recall", _rouge), groups_of(rows)
        means.append(float(x.mean()))
        drawn.append(
            mean_draws(x[None], groups, stream=stream)[:, 0] if len(set(groups)) > 1 else None
        )
        n = n + len(rows)
        sides.append(len(set(groups)))
    value = _distance(means[0], means[1])
    interval = None
    if drawn[0] is not None and drawn[1] is not None:
        interval = percentile_interval(_distance(drawn[0], drawn[1]), float(value), min(sides))
    parts = {"forget": means[0], "retain": means[1]}
    return Measurement(
        float(value), n, sum(sides), interval, "lower", parts=parts, fewest=min(sides)
    )


def _distance(forget: Any, retain: Any) -> Any:
    return 100 * np.sqrt(np.square(forget) + np.square(1 - retain))


def _rouge(r: Record) -> float:
    assert r.answer is not None and r.generated is not None
    return rouge_1_recall_of(r.answer, r.generated)
