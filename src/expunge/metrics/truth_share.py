"""Truth share: share of probability on the right answer, beside a typical wrong one."""

from __future__ import annotations

import numpy as np

from expunge.core.card import Card
from expunge.core.results import Measurement, Records, unscored
from expunge.scoring.aggregate import better_for, mean_measurement
from expunge.scoring.per_row import log_truth_ratios, not_finite

card = Card(
    paper="Dorna et al. 2025 (open-unlearning)",
    url="https://arxiv.org/abs/2506.12618",
    where="truth ratio with the aggregator prob_mean, the form of its meta-evaluation",
    evidence="oracle",
    better="gold",
    unit="share",
    grows="knowledge",
    needs=("teacher_forced", "paraphrase", "perturbed"),
)


def truth_share(records: Records, role: str) -> Measurement:
    """Mean over rows of p / (p + w) = 1 / (1 + R); 0..1, .5 = no preference.

    R: see ``truth_ratio``.

    p = exp(-L(right)), right the paraphrase where rows have one, else the answer; w = exp(-mean_j
    L(wrong_j)); L mean token losses. Unlike the truth ratio on forget rows it tells which side is
    preferred.
    """
    found = log_truth_ratios(records, role)
    if isinstance(found, str):
        return unscored(found, better_for(role))
    rows, log_ratio = found
    reason = not_finite(log_ratio, role)
    if reason:
        return unscored(reason, better_for(role))
    return mean_measurement(np.exp(-np.logaddexp(0.0, log_ratio)), rows, better_for(role))
