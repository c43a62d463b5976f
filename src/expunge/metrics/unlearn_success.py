"""KnowUnDo's success scores: what should be gone is not completed, what may stay still is."""

from __future__ import annotations

import numpy as np

from expunge.core.records import Record, Records
from expunge.core.types import Card, Measurement, unscored
from expunge.maths.measurements import mean_measurement
from expunge.maths.scores import is_unlearned, lacking

card = Card(
    paper="Tian et al. 2024 (KnowUnDo)",
    url="https://arxiv.org/abs/2407.01920",
    where="unlearn success and retention success",
    family=("memorisation",),
    evidence="oracle",
    better="higher",
    unit="percent",
    needs=("S1",),
    differs="Its code keeps log-probabilities and token ids in one bfloat16 tensor, which rounds ids above 256, so that true hits are "
    "lost and the model looks forgotten; hits here are compared as whole numbers. Which split is which success is from memory.",
)


def unlearn_success(records: Records, role: str) -> Measurement:
    """100 (1 - A) on roles to forget (unlearn success), 100 A on the others (retention success); 0..100, higher is better.

    A: the mean over rows of the share of arg-max tokens among the answer's tokens, the end-of-sequence token included.
    """

    def score(r: Record) -> float:
        assert r.hit is not None
        share = float(np.mean(r.hit))
        return 100 * (1 - share if is_unlearned(role) else share)

    rows = records.of(role)
    reason = lacking(rows, role, "", ("hit",))
    return unscored(reason, "higher") if reason else mean_measurement(np.array([score(r) for r in rows]), rows, "higher")
