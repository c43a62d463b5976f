"""N-gram entropy: diversity of the two- and three-word sequences of the generated texts."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge

from expunge.core.card import Card
from expunge.core.results import Measurement, Record, Records
from expunge.scoring.aggregate import role_mean
from expunge.scoring.text import ngram_entropy_of

card = Card(
    paper="Zhang et al. 2018; Jin et al. 2024 (RWKU)",
    url="https://arxiv.org/abs/2406.10890",
    where="fluency",
    family=("fluency",),
    evidence="oracle",
    better="gold",
    unit="bits",
    needs=("generation",),
    differs="Words by spelling instead of nltk's tokenizer, which needs a download. Tables print "
    "it times 100.",
)


def ngram_entropy(
    records: Records, role: str, *, weights: tuple[Annotated[float, Ge(0)], ...] = (2 / 3, 4 / 3)
) -> Measurement:
    """Mean over rows of mean_n(w_n H_n) of the greedy output, H_n the entropy of its n-grams of
    words in bits, n = 2, 3, ...

    It rises with the length of a text (log2 of its n-grams at most), and texts too short for an
    n-gram have 0: compare at like length.
    """

    def score(r: Record) -> float:
        return ngram_entropy_of(r.generated or "", weights)

    return role_mean(records, role, "ngram_entropy", score, ("generated",))
