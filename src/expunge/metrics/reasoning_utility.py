"""Reasoning utility: words, meaning and fluency of a reasoning model's answers, as one number."""

from __future__ import annotations

from expunge.core.card import Card
from expunge.core.results import Measurement, Records
from expunge.scoring.reasoning import aggregate

card = Card(
    paper="Yoon et al. 2025 (R-TOFU)",
    url="https://arxiv.org/abs/2505.15214",
    where="model utility",
    family=("semantic", "aggregate"),
    evidence="oracle",
    better="higher",
    unit="share",
    needs=("generation", "semantic"),
    reads=("retain", "real_authors", "world_facts"),
    whole=True,
    differs="Entailment is the probability that the output entails the answer; the paper turns the "
    "direction on what is kept.",
)

NAMES = ("rouge_l_recall", "token_entropy", "semantic_similarity", "entailment")


def reasoning_utility(
    records: Records,
    gold: Records | None = None,
    *,
    roles: tuple[str, ...] = ("retain", "real_authors", "world_facts"),
) -> Measurement:
    """Harmonic mean of ROUGE-L recall, token entropy, semantic similarity and entailment of
    ``roles``; 0..1, 0 if one of them is 0.

    The parts are those means. A part that is missing leaves it unscored. ``gold`` is not used.
    """
    return aggregate(records, roles, NAMES)
