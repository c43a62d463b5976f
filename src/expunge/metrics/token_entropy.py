"""Token entropy: how evenly a text uses its words, normalized by its length."""

from __future__ import annotations

from expunge.core.card import Card
from expunge.core.results import Measurement, Record, Records
from expunge.scoring.aggregate import role_mean
from expunge.scoring.text import token_entropy_of

card = Card(
    paper="Yoon et al. 2025 (R-TOFU)",
    url="https://arxiv.org/abs/2505.15214",
    where="model utility: token entropy",
    family=("fluency",),
    evidence="oracle",
    better="gold",
    unit="share",
    needs=("generation",),
    differs="Words by spelling instead of the model's tokens.",
)


def token_entropy(records: Records, role: str) -> Measurement:
    """Mean over rows of the entropy of the words of the greedy output over log2 of their number;
    0..1, all different gives 1.

    An output of fewer than two words has 0: a one-word answer says nothing of fluency.
    """

    def score(r: Record) -> float:
        return token_entropy_of(r.generated or "")

    return role_mean(records, role, "token_entropy", score, ("generated",))
