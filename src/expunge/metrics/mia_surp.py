"""Membership by surprising tokens: places where the model was sure and wrong."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from annotated_types import Ge, Interval

from expunge.core.card import Card
from expunge.core.results import Measurement, Record, Records
from expunge.scoring.aggregate import membership_auc
from expunge.scoring.per_row import tokens

card = Card(
    paper="Zhang and Wu 2024 (SURP)",
    url="https://arxiv.org/abs/2407.21248",
    where="surprising tokens: low entropy and low probability of the true token",
    family=("membership",),
    evidence="reconstructed",
    better="gold",
    unit="auc",
    grows="knowledge",
    needs=("teacher_forced", "moments"),
    reads=("forget", "holdout"),
    whole=True,
    differs="The paper's thresholds were not seen: k and the entropy are those of a third party's "
    "code. A row without a surprising token "
    "scores 0, the most that a member can have.",
)


def mia_surp(
    records: Records,
    gold: Records | None = None,
    *,
    k: Annotated[float, Interval(gt=0, le=1)] = 0.2,
    most_entropy: Annotated[float, Ge(0)] = 2.0,
    eos: bool = False,
) -> Measurement:
    """AUC of the mean log-probability of surprising tokens: P(forget > holdout), 0..1.

    Surprising: among the k least likely tokens of the row (int(k T), at least one) those where the
        entropy of the prediction is below ``most_entropy`` nats. ``eos`` counts the end-of-sequence
        token. ``gold`` is not used.
    """

    def score(r: Record) -> float:
        assert r.logp is not None and r.entropy is not None
        logp, entropy = (
            tokens(np.asarray(x, dtype=np.float64), r, eos) for x in (r.logp, r.entropy)
        )
        lowest = np.argsort(logp, kind="stable")[: max(1, int(len(logp) * k))]
        surprising = lowest[entropy[lowest] < most_entropy]
        # NaN stays NaN
        return float(logp[surprising].mean()) if len(surprising) else float(0.0 * logp.sum())

    return membership_auc(records, "mia_surp", score, ("logp", "entropy"))
