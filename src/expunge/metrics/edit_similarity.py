"""Edit similarity: one minus the normalized edit distance to the right continuation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from expunge.core.card import Card
from expunge.core.results import Measurement, Record, Records
from expunge.scoring.aggregate import role_mean
from expunge.scoring.text import edit_distance_of

card = Card(
    paper="Levenshtein 1966; Jeung et al. 2025 (DUSK)",
    url="https://arxiv.org/abs/2505.15209",
    where="verbatim memorization: Levenshtein distance",
    family=("verbatim",),
    evidence="oracle",
    better="gold",
    unit="share",
    grows="knowledge",
    needs=("generation",),
    differs="The authors' code prints mean distances under the name of a similarity; here they are "
    "the part, and the value is in 0..1.",
)


def edit_similarity(records: Records, role: str) -> Measurement:
    """Mean over rows of 1 - d / max(characters of answer, of output), d the Levenshtein distance;
    0..1, an empty output gives 0 (unless the answer is empty, too).

    The part ``distance`` is the mean of d in characters: insertions, deletions and substitutions.
    """
    away: dict[str, int] = {}

    def score(r: Record) -> float:
        assert r.answer is not None and r.generated is not None
        away[r.id] = edit_distance_of(r.answer, r.generated)
        return 1 - away[r.id] / max(len(r.answer), len(r.generated), 1)

    m = role_mean(records, role, "edit_similarity", score, ("answer", "generated"))
    return (
        replace(m, parts={"distance": float(np.mean(list(away.values())))})
        if m.value is not None and away
        else m
    )
