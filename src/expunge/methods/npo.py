"""Negative preference optimization: ascent that weakens as the forgotten answer gets unlikely."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from annotated_types import Ge, Gt

from expunge.core.card import Card
from expunge.core.stages import Descent, Term
from expunge.losses.objectives import npo_term
from expunge.losses.terms import nll, weighted

card = Card(
    paper="Zhang et al. 2024",
    url="https://arxiv.org/abs/2404.05868",
    where="equation 3",
    family=("preference",),
    settings={
        # authors' TOFU/config/forget.yaml (4 x 4 rows on 2 GPUs), TOFU/forget.py: warm-up of one
        # epoch; open-unlearning the same
        "tofu": {
            "lr": 1e-5,
            "epochs": 10,
            "batch": 32,
            "warmup": 0.1,
            "weight_decay": 0.01,
        },
        "builtin": {"lr": 1e-3, "steps": 60, "batch": 16, "beta": 0.2, "retain_weight": 10.0},
    },
    tune={"lr": (5e-4, 1e-3, 2e-3), "beta": (0.2, 0.5), "retain_weight": (3.0, 10.0, 30.0)},
    evidence="reference",
    claims="lowers_logp",
)


def npo(
    beta: Annotated[float, Gt(0)] = 0.1,
    retain_term: Term = nll(stream="retain"),
    retain_weight: Annotated[float, Ge(0)] = 1.0,
) -> Descent:
    """NPO on the forget rows plus a retain term.

    beta: inverse temperature.
    retain_term: what is kept, by which term.
    retain_weight: its coefficient.
    """
    forget = Term(
        "forget", partial(npo_term, beta=beta), ("forget",), "seqsum", frozenset({"start_logp"})
    )
    return Descent("npo", (forget, *weighted(retain_term, retain_weight)))
