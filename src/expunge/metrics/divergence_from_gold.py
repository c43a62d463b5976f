"""Divergence of next-token distributions on the answers from gold's."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from expunge.core.card import Card
from expunge.core.results import Measurement, Records, unscored
from expunge.scoring.aggregate import mean_measurement
from expunge.scoring.per_row import DIVERGENCES, no_rows, not_finite

card = Card(
    paper="Lin 1991",
    url="https://doi.org/10.1109/18.61115",
    where="section IV (Jensen-Shannon); as a distance to the retrained model: catalogue of "
    "evaluations, distances to gold",
    family=("gold",),
    evidence="oracle",
    better="lower",
    needs=("teacher_forced", "gold_divergence"),
)


def divergence_from_gold(
    records: Records, role: str, *, kind: Literal["js", "kl", "reverse_kl", "tv"] = "js"
) -> Measurement:
    """Mean over rows of the mean over answer tokens; 0 = as gold.

    On forget rows also the model that forgot too much is far from gold.

    ``kind``: js (Jensen-Shannon, nats, 0 to ln 2), kl (KL(gold || model), nats), reverse_kl
    (KL(model || gold), nats), tv (total variation, 0 to 1). ``parts``: all four. Two golds of
    different seeds differ as well: what they give is the noise to compare with. One forward of each
    model a row.
    """
    rows = records.of(role)
    if not rows:
        return unscored(no_rows(role), "lower")
    if any("divergence" not in r.observed for r in rows):
        return unscored(
            "needs a model retrained without the forget rows, beside which this one reads; give "
            "--gold",
            "lower",
        )
    each = np.array([r.observed["divergence"] for r in rows], dtype=np.float64)
    reason = not_finite(each.sum(1), role)
    if reason:
        return unscored(reason, "lower")
    m = mean_measurement(each[:, DIVERGENCES.index(kind)], rows, "lower")
    return replace(m, parts=dict(zip(DIVERGENCES, map(float, each.mean(0)), strict=True)))
