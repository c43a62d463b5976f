"""Forget efficacy: distance of answers on forget rows from the right ones, in words and meaning."""

from __future__ import annotations

from expunge.core.card import Card
from expunge.core.results import Measurement, Records
from expunge.scoring.reasoning import aggregate

card = Card(
    paper="Yoon et al. 2025 (R-TOFU)",
    url="https://arxiv.org/abs/2505.15214",
    where="answer forget efficacy",
    family=("semantic", "aggregate"),
    evidence="oracle",
    better="higher",
    unit="share",
    needs=("generation", "semantic"),
    reads=("forget",),
    whole=True,
    differs="Entailment is the probability that the output entails the answer, not the arg-max; no "
    "floor under it by ROUGE. A model that "
    "writes nothing is perfectly efficient: read it beside reasoning_utility.",
)

NAMES = ("rouge_l_recall", "semantic_similarity", "entailment")


def forget_efficacy(
    records: Records, gold: Records | None = None, *, roles: tuple[str, ...] = ("forget",)
) -> Measurement:
    """Harmonic mean of 1 - ROUGE-L recall, 1 - semantic similarity and 1 - entailment of ``roles``;
    0..1, 0 if one of them is 0.

    The parts are those means. A part that is missing leaves it unscored. ``gold`` is not used.
    """
    return aggregate(records, roles, NAMES, gone=True)
