"""Linguistic score: vocabulary richness of the generated texts, from word counts."""

from __future__ import annotations

from typing import Literal

import numpy as np

from expunge.core.card import Card
from expunge.core.results import Measurement, Record, Records
from expunge.scoring.aggregate import role_mean
from expunge.scoring.text import richness_of

card = Card(
    paper="Xu et al. 2025 (ReLearn)",
    url="https://arxiv.org/abs/2502.11190",
    where="linguistic score",
    family=("fluency",),
    evidence="reconstructed",
    better="gold",
    unit="share",
    needs=("generation",),
    differs="Two of its three parts, Brunet's index and Honore's statistic; the third, the "
    "perplexity of the text under another model, is "
    "left out. Words without punctuation, the authors' tokenizer counts marks; the score is "
    "averaged row by row, theirs is of the means "
    "of the indices.",
)


def linguistic_score(
    records: Records, role: str, *, mean: Literal["arithmetic", "harmonic"] = "arithmetic"
) -> Measurement:
    """Mean over rows of the mean of 1/(1 + BI) and HS/(1 + HS) of the greedy output: the logistic
    of -ln BI and of ln HS; 0..1.

    BI = N^(V^-0.165), HS = 100 ln N / (1 - V1/V + .1). ``mean``: of the two parts. An empty output
    has 0. It rises with length.
    """

    def score(r: Record) -> float:
        brunet, honore = richness_of(r.generated or "")
        parts = np.array([1 / (1 + brunet), honore / (1 + honore)])
        return float(
            parts.mean()
            if mean == "arithmetic"
            else 2 * parts.prod() / parts.sum()
            if parts.all()
            else 0.0
        )

    return role_mean(records, role, "linguistic_score", score, ("generated",))
