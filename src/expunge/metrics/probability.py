"""Probability of the right answer, per token: exp(-mean loss), end-of-sequence token included."""

from __future__ import annotations

from expunge.core.card import Card
from expunge.core.results import Measurement, Records
from expunge.scoring.aggregate import role_mean
from expunge.scoring.per_row import probability_of

card = Card(
    paper="Maini et al. 2024",
    url="https://arxiv.org/abs/2401.06121",
    where="evaluation metrics: probability",
    evidence="reference",
    better="gold",
    unit="share",
    grows="knowledge",
    needs=("teacher_forced",),
)


def probability(records: Records, role: str) -> Measurement:
    """Mean over the rows of ``role`` of P(a|q)^(1/|a|) = exp(-mean NLL of the answer's tokens, eos
    included); 0..1.

    A uniform model over V tokens gives 1/V whatever the length. On forget and holdout the value to
    reach is gold's.
    """
    return role_mean(records, role, "probability", probability_of, ("loss",))
