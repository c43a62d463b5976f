"""Selective gradient ascent: only on rows that the model has memorized."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Interval

from expunge.core.card import Card
from expunge.core.stages import Descent, Term
from expunge.losses.terms import nll, weighted
from expunge.methods._selective import selective

card = Card(
    paper="Barbulescu and Triantafillou 2024",
    url="https://arxiv.org/abs/2405.03097",
    where="selective gradient ascent",
    family=("gradient ascent",),
    settings={
        "builtin": {"lr": 1e-3, "steps": 60, "batch": 16, "threshold": 0.8, "retain_weight": 1.0}
    },  # ours: the best of a few tries there
    tune={"lr": (5e-4, 1e-3, 2e-3), "threshold": (0.3, 0.6, 0.8), "retain_weight": (1.0, 3.0)},
    differs="memorization is measured in each step's own forward, not once an epoch; no fall-back "
    "to the most memorized rows when none is "
    "above the threshold; its value was not seen; the retain term is ours (the paper has none)",
    evidence="reconstructed",
    claims="lowers_logp",
)


def sga(
    threshold: Annotated[float, Interval(ge=0, le=1)] = 0.5,
    retain_term: Term = nll(stream="retain"),
    retain_weight: Annotated[float, Ge(0)] = 0.0,
) -> Descent:
    """Gradient ascent on the forget rows whose memorization is at least a threshold, plus a retain
    term.

    threshold: share of an answer's tokens that the model must still say first for the row to be
        unlearned.
    retain_term: what is kept, by which term.
    retain_weight: its coefficient (the paper has none).
    """
    return Descent("sga", (selective(threshold), *weighted(retain_term, retain_weight)))
