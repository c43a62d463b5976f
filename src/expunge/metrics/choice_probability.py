"""Probability of the right answer among the given ones, as if the model had to choose."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge

from expunge.core.card import Card
from expunge.core.results import Measurement, Records, unscored
from expunge.scoring.aggregate import better_for, mean_measurement
from expunge.scoring.per_row import choice_probabilities

card = Card(
    paper="Maini et al. 2024",
    url="https://arxiv.org/abs/2401.06121",
    where="evaluation metrics: probability on real authors and world facts",
    evidence="reference",
    better="gold",
    unit="share",
    grows="knowledge",
    needs=("teacher_forced", "perturbed"),
    differs="open-unlearning adds 1e-10 to the denominator: epsilon=1e-10 gives its form.",
)


def choice_probability(
    records: Records, role: str, *, epsilon: Annotated[float, Ge(0)] = 0.0
) -> Measurement:
    """Mean over rows of p(right) / (p(right) + sum_j p(wrong_j)), p = exp(-mean token loss); 0..1,
    chance 1 / (1 + wrong answers).

    TOFU's probability on real authors and world facts. ULD publishes it for the forget rows, too,
    as "Forget Probability".
    """
    scores = choice_probabilities(records, role, epsilon)
    if isinstance(scores, str):
        return unscored(scores, better_for(role))
    return mean_measurement(scores, records.of(role), better_for(role))
