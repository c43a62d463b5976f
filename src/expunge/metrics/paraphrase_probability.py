"""Probability of the paraphrased answer: of the fact, not of one memorized sentence."""

from __future__ import annotations

from expunge.core.card import Card
from expunge.core.results import Measurement, Records
from expunge.scoring.aggregate import role_mean
from expunge.scoring.per_row import probability_of

card = Card(
    paper="Maini et al. 2024 (TOFU's rows); Dorna et al. 2025 (open-unlearning)",
    url="https://arxiv.org/abs/2506.12618",
    where="Q_A_PARA_Prob of open-unlearning; para. probability in its meta-evaluation",
    evidence="oracle",
    better="gold",
    unit="share",
    grows="knowledge",
    needs=("teacher_forced", "paraphrase"),
)


def paraphrase_probability(records: Records, role: str) -> Measurement:
    """Mean over rows of P(p|q)^(1/|p|), p the paraphrased answer, its end token included; 0..1.

    Rows without one leave it unscored.
    """
    return role_mean(
        records, role, "paraphrase_probability", probability_of, ("loss",), "paraphrase"
    )
