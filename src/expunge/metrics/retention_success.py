"""KnowUnDo's retention success: what may stay is still completed."""

from __future__ import annotations

import numpy as np

from expunge.core.card import Card
from expunge.core.results import Measurement, Record, Records, unscored
from expunge.scoring.aggregate import mean_measurement
from expunge.scoring.per_row import is_unlearned, lacking

card = Card(
    paper="Tian et al. 2024 (KnowUnDo)",
    url="https://arxiv.org/abs/2407.01920",
    where="retention success",
    family=("memorization",),
    evidence="oracle",
    better="higher",
    unit="percent",
    grows="knowledge",
    side="kept",
    needs=("teacher_forced",),
    differs="As for unlearn_success: hits are compared as whole numbers, and which split is which "
    "success is from memory.",
)


def retention_success(records: Records, role: str) -> Measurement:
    """100 A on roles to keep; 0..100, higher is better.

    A: the mean over rows of the share of arg-max tokens among the answer's tokens, the
    end-of-sequence token included. What is to be forgotten has ``unlearn_success``, which is 100 (1
    - A).
    """
    if is_unlearned(role):
        return unscored(f"role {role} is to be forgotten: ask for unlearn_success", "higher")

    def score(r: Record) -> float:
        assert r.hit is not None
        return 100 * float(np.mean(r.hit))

    rows = records.of(role)
    reason = lacking(rows, role, "", ("hit",))
    return (
        unscored(reason, "higher")
        if reason
        else mean_measurement(np.array([score(r) for r in rows]), rows, "higher")
    )
