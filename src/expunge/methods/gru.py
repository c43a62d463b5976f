"""Gradient rectified unlearning: remove the part of the forget gradient that harms retention."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal

from annotated_types import Ge, Interval

from expunge.core.card import Card
from expunge.core.stages import Descent, Term
from expunge.losses.gradients import Ask, Grads, State, added, moving, rectified
from expunge.losses.objectives import objective_term
from expunge.losses.terms import nll

card = Card(
    paper="Wang et al. 2025; Yu et al. 2020",
    url="https://arxiv.org/abs/2503.09117",
    where="the rectified gradient; PCGrad is arXiv 2001.06782",
    family=("gradient surgery",),
    settings={
        # authors' configs/forget_llama.yaml, basher_tofu.py, forget_auto_tofu.py, Llama-2-7b: 4 x
        # 8 rows, constant without warm-up, clip 100; Phi has lr 2e-5
        "tofu": {
            "lr": 1e-5,
            "epochs": 5,
            "batch": 32,
            "schedule": "constant",
            "weight_decay": 0.01,
            "clip": 100.0,
        },
        "builtin": {
            "lr": 1e-3,
            "steps": 60,
            "batch": 16,
            "objective": "wga",
            "decay": 0.8,
            "retain_weight": 1.0,
        },
    },
    tune={"lr": (5e-4, 1e-3, 2e-3), "objective": ("npo", "wga"), "forget_weight": (0.3, 1.0, 3.0)},
    published_as={"pcgrad": {"decay": 0.0, "both": True, "retain_weight": 1.0}},
    differs="rectified in float64 sums on the device, before clipping; AdamW's preconditioner "
    "bends the step afterwards, as in the paper",
    evidence="oracle",
    claims="lowers_logp",
)


def rectify(
    ask: Ask, state: State, *, decay: float, most: float, retain_weight: float, both: bool
) -> Grads:
    """g_f rectified against the moving average of g_r, + retain_weight x g_r (itself rectified
    against g_f if ``both``).
    """
    forget, retain = ask("forget"), ask("retain")
    state["anchor"] = moving(state.get("anchor"), retain, decay)
    made = rectified(forget, state["anchor"], most)
    if not retain_weight:
        return made
    return added(made, rectified(retain, forget, most) if both else retain, retain_weight)


def gru(
    objective: Literal["ga", "npo", "simnpo", "wga"] = "ga",
    beta: Annotated[float, Ge(0)] = 0.0,
    decay: Annotated[float, Interval(ge=0, le=1)] = 0.2,
    most: Annotated[float, Interval(ge=0, le=1)] = 1.0,
    both: bool = False,
    forget_weight: Annotated[float, Ge(0)] = 1.0,
    retain_term: Term = nll(stream="retain"),
    retain_weight: Annotated[float, Ge(0)] = 0.0,
) -> Descent:
    """The forget gradient, orthogonal to the moving average of the retain gradients wherever the
    two conflict.

    objective: what forgets; ga is plain ascent, wga ascent weighted by p^beta.
    beta: its inverse temperature or exponent; 0 takes the usual one of each.
    decay: how much of the average of earlier retain gradients stays at each step.
    most: up to which cosine a conflict is taken out; 1 all of it, 0.5 as the code's clipped form, 0
        nothing.
    both: rectify the retain gradient against the forget gradient too (PCGrad).
    forget_weight: coefficient of the forget term.
    retain_term: whose gradient is protected.
    retain_weight: how much of its gradient is followed too; 0 only protects it.
    """
    rule = partial(rectify, decay=decay, most=most, retain_weight=retain_weight, both=both)
    return Descent(
        "gru", (forget_weight * objective_term(objective, beta), retain_term), combine=rule
    )
