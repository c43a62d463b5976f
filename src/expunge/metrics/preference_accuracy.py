"""Preference accuracy: share of rows whose right answer is likelier than every wrong one."""

from __future__ import annotations

from typing import Literal

import numpy as np

from expunge.core.card import Card
from expunge.core.results import Measurement, Records, unscored
from expunge.scoring.aggregate import better_for, mean_measurement
from expunge.scoring.per_row import lacking, not_finite, wrong_losses

card = Card(
    paper="Meng et al. 2022 (ROME, CounterFact)",
    url="https://arxiv.org/abs/2202.05262",
    where="efficacy, paraphrase and neighborhood scores",
    family=("locality",),
    evidence="oracle",
    better="gold",
    unit="share",
    grows="knowledge",
    needs=("teacher_forced", "perturbed"),
)


def preference_accuracy(
    records: Records, role: str, *, wrong: Literal["any", "mean"] = "any"
) -> Measurement:
    """Mean over rows of [loss of the answer < loss of the wrong ones]; 0..1, a tie is a half.

    Losses are means per token.

    On CounterFact's neighborhood prompts this is the neighborhood (locality) score, on its edit
    prompts one minus the efficacy score.
    ``wrong``: every wrong answer must lose (any), or their mean.
    """
    rows, better = records.of(role), better_for(role)
    reason = lacking(rows, role, "", ("loss",))
    losses = reason or wrong_losses(records, role, rows)
    if isinstance(losses, str):
        return unscored(losses, better)
    rivals = np.array([w.min() if wrong == "any" else w.mean() for w in losses])
    own = np.array([r.loss for r in rows])
    reason = not_finite(rivals - own, role)
    return (
        unscored(reason, better)
        if reason
        else mean_measurement((own < rivals) + 0.5 * (own == rivals), rows, better)
    )
