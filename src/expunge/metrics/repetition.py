"""Repetition: the share of a text's word sequences that it has already said."""

from __future__ import annotations

from expunge.core.records import Record, Records
from expunge.core.types import Card, Measurement
from expunge.maths.measurements import role_mean
from expunge.maths.texts import repetition_of

card = Card(
    paper="Liu et al. 2024 (WPU)",
    url="https://arxiv.org/abs/2407.16997",
    where="response quality: unique n-gram ratio",
    family=("fluency",),
    evidence="oracle",
    better="gold",
    unit="share",
    needs=("S2",),
    differs="One minus the ratio of the paper, which counts 4-grams; with n=1 it is one minus ECO's unique-token ratio.",
)


def repetition(records: Records, role: str, *, n: int = 4) -> Measurement:
    """Mean over rows of 1 - different n-grams of words / n-grams of the greedy output; 0..1, 0 for outputs of fewer than n words.

    Short outputs cannot repeat themselves: compare texts of like length. Lower is better on what is to be kept.
    """

    def score(r: Record) -> float:
        return repetition_of(r.generated or "", n)

    return role_mean(records, role, "repetition", score, ("generated",), kept="lower")
