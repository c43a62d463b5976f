"""Gradient difference: ascend on what must be forgotten, descend on what must be kept."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge

from expunge.core.card import Card
from expunge.core.stages import Descent, Term
from expunge.losses.terms import ascent, nll, weighted

card = Card(
    paper="Liu et al. 2022; Maini et al. 2024",
    url="https://arxiv.org/abs/2401.06121",
    where="TOFU section 3.2, gradient difference",
    family=("ascent",),
    settings={
        # TOFU's README.md (4 x 4 rows on 2 GPUs), config/forget.yaml, forget.py: warm-up of one
        # epoch
        "tofu": {
            "lr": 1e-5,
            "epochs": 5,
            "batch": 32,
            "warmup": 0.2,
            "weight_decay": 0.01,
        },
        "builtin": {"lr": 1e-3, "steps": 60, "batch": 16, "forget_weight": 0.3},
    },
    tune={"lr": (5e-4, 1e-3, 1.5e-3), "forget_weight": (0.1, 0.3), "retain_weight": (1.0, 3.0)},
    evidence="reference",
    claims="lowers_logp",
)


def grad_diff(
    forget_weight: Annotated[float, Ge(0)] = 1.0,
    retain_term: Term = nll(stream="retain"),
    retain_weight: Annotated[float, Ge(0)] = 1.0,
) -> Descent:
    """-forget_weight NLL(forget) + retain_weight retain_term, both means per answer token.

    forget_weight: coefficient of the ascent.
    retain_term: what is kept, by which term.
    retain_weight: its coefficient.
    """
    return Descent(
        "grad_diff",
        (*weighted(ascent(stream="forget"), forget_weight), *weighted(retain_term, retain_weight)),
    )
