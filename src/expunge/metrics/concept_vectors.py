"""Concept vectors: overlap of the tokens that a concept's column promotes before and after."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import numpy as np
from annotated_types import Gt

from expunge.core.card import Card
from expunge.core.results import Better, Measurement, Records, unscored
from expunge.scoring.aggregate import better_for, mean_measurement
from expunge.scoring.per_row import no_rows

card = Card(
    paper="Hong et al. 2024 (ConceptVectors)",
    url="https://arxiv.org/abs/2406.11614",
    where="intrinsic evaluation: Jaccard similarity, cosine, L2 distance",
    family=("internals",),
    evidence="oracle",
    better="lower",
    unit="share",
    needs=("teacher_forced", "concept_columns"),
    differs="The column is read through the final norm, whose gain the paper leaves out; the part "
    "jaccard_raw is the paper's. One column "
    "is not all that is known of a concept: an untouched one shows that it is still there, a "
    "changed one does not show that it is gone.",
)

PARTS = ("jaccard_raw", "cosine", "distance")


def concept_vectors(records: Records, role: str, *, k: Annotated[int, Gt(0)] = 200) -> Measurement:
    """Mean over concepts of the Jaccard index of the ``k`` tokens that a concept's column speaks
    for, before and after; 0..1, 1 = intact.

    n counts columns, not rows. Parts: the means of ``jaccard_raw`` (without the final norm),
    ``cosine`` (-1..1) and ``distance`` (L2) of the two columns. A column of zeros speaks for
    nothing: 0. Rows name their column (benchmark conceptvectors); needs --original.
    """
    rows = records.of(role)
    better: Better = "lower" if better_for(role) == "gold" else "higher"
    if not rows:
        return unscored(no_rows(role), better)
    if not any("concept" in r.observed for r in rows):
        return unscored(
            "needs the model before unlearning, whose columns these are compared with; give "
            "--original",
            better,
        )
    named = [r for r in rows if len(r.observed.get("concept", ()))]
    once = {r.observed["concept"][0]: r for r in reversed(named)}
    if not once:
        return unscored(
            "the rows name no column of weights that this model has; take the model that the "
            "benchmark was made for",
            better,
        )
    kept = list(once.values())
    values = np.array([r.observed["concept"] for r in kept], dtype=np.float64)[:, 1:]
    m = mean_measurement(values[:, 0], kept, better)
    return (
        m
        if m.value is None
        else replace(m, parts=dict(zip(PARTS, map(float, values[:, 1:].mean(0)), strict=True)))
    )
