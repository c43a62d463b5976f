"""Truth ratio: likelihood of wrong answers against that of the paraphrased right answer."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge

from expunge.core.card import Card
from expunge.core.results import Measurement, Records, unscored
from expunge.scoring.aggregate import better_for, mean_measurement
from expunge.scoring.per_row import log_truth_ratios, truth_scores

card = Card(
    paper="Maini et al. 2024",
    url="https://arxiv.org/abs/2401.06121",
    where="evaluation metrics: truth ratio",
    evidence="reference",
    better="gold",
    unit="share",
    needs=("teacher_forced", "paraphrase", "perturbed"),
    differs="Geometric mean over the wrong answers, as in the authors' scripts. open-unlearning "
    "adds 1e-10 to the denominator, which "
    "decides the value above 20 nats: epsilon=1e-10 gives its form.",
)


def truth_ratio(
    records: Records, role: str, *, epsilon: Annotated[float, Ge(0)] = 0.0
) -> Measurement:
    """R = exp(L(right) - mean_j L(wrong_j)), L mean token losses; right is the paraphrase where
    rows have one, else the answer.

    forget, holdout: mean of min(R, 1/R), 1 = no preference for the truth, as gold. Other roles:
        mean of max(0, 1 - R), 1 = prefers the truth. Both 0..1.
    """
    found = log_truth_ratios(records, role, epsilon)
    if isinstance(found, str):
        return unscored(found, better_for(role))
    rows, log_ratio = found
    return mean_measurement(truth_scores(log_ratio, role), rows, better_for(role))
