"""KnowUnDo's unlearn success: what should be gone is not completed."""

from __future__ import annotations

import numpy as np

from expunge.core.card import Card
from expunge.core.results import Measurement, Record, Records, unscored
from expunge.scoring.aggregate import mean_measurement
from expunge.scoring.per_row import is_unlearned, lacking

card = Card(
    paper="Tian et al. 2024 (KnowUnDo)",
    url="https://arxiv.org/abs/2407.01920",
    where="unlearn success",
    family=("memorization",),
    evidence="oracle",
    better="higher",
    unit="percent",
    side="forgotten",
    needs=("teacher_forced",),
    differs="Its code keeps log-probabilities and token ids in one bfloat16 tensor, which rounds "
    "ids above 256, so that true hits are "
    "lost and the model looks forgotten; hits here are compared as whole numbers. Which split is "
    "which success is from memory.",
)


def unlearn_success(records: Records, role: str) -> Measurement:
    """100 (1 - A) on roles to forget; 0..100.

    Higher is better in the paper; a gold model, which never saw them, has less than 100, too.

    A: the mean over rows of the share of arg-max tokens among the answer's tokens, the
        end-of-sequence token included. What is to be kept has ``retention_success``, which is 100
        A.
    """
    if not is_unlearned(role):
        return unscored(f"role {role} is to be kept: ask for retention_success", "higher")

    def score(r: Record) -> float:
        assert r.hit is not None
        return 100 * (1 - float(np.mean(r.hit)))

    rows = records.of(role)
    reason = lacking(rows, role, "", ("hit",))
    return (
        unscored(reason, "higher")
        if reason
        else mean_measurement(np.array([score(r) for r in rows]), rows, "higher")
    )
