"""Common words: longest common subsequence of words between right continuation and output."""

from __future__ import annotations

from expunge.core.card import Card
from expunge.core.results import Measurement, Record, Records
from expunge.scoring.aggregate import role_mean
from expunge.scoring.text import common_words_of

card = Card(
    paper="Jeung et al. 2025 (DUSK)",
    url="https://arxiv.org/abs/2505.15209",
    where="verbatim memorization: longest common subsequence",
    family=("verbatim",),
    evidence="oracle",
    better="gold",
    unit="words",
    grows="knowledge",
    needs=("generation",),
)


def common_words(records: Records, role: str) -> Measurement:
    """Mean over rows of the length of the longest common subsequence of words (what stands between
    spaces), in words.

    It grows with the length of the answer: compare models on the same rows, or read
    ``rouge_l_recall``.
    """

    def score(r: Record) -> float:
        assert r.answer is not None and r.generated is not None
        return float(common_words_of(r.answer, r.generated))

    return role_mean(records, role, "common_words", score, ("answer", "generated"))
