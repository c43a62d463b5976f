"""RKLD: reverse KL to a teacher that suppresses what a copy trained on the forget rows raises."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from annotated_types import Ge, Gt

from expunge.core.card import Card
from expunge.core.stages import Descent, Stage, Teacher, Term
from expunge.losses.teachers import unlike_reinforced
from expunge.losses.terms import nll, reverse_kl, weighted

card = Card(
    paper="Wang et al. 2024; Wang et al. 2025 (as RKLU)",
    url="https://arxiv.org/abs/2406.01983",
    where="section 3, reverse KL to a teacher with its strengthened words turned down",
    family=("distillation",),
    settings={
        "builtin": {
            "lr": 2e-3,
            "steps": 60,
            "batch": 16,
            "alpha": 5.0,
            "reinforce_lr": 5e-3,
            "reinforce_epochs": 10,
            "retain_weight": 10.0,
        }
    },
    tune={"lr": (5e-4, 1e-3, 2e-3), "alpha": (1.0, 5.0, 10.0), "retain_weight": (3.0, 10.0)},
    differs="the teacher's formula is the one of WHP and alpha is open: no code was published; "
    "logits are centered by their mean",
    evidence="reconstructed",
    claims="lowers_logp",
)


def rkld(
    alpha: Annotated[float, Ge(0)] = 1.0,
    reinforce_epochs: Annotated[float, Gt(0)] = 3.0,
    reinforce_lr: Annotated[float, Ge(0)] = 0.0,
    retain_term: Term = nll(stream="retain"),
    retain_weight: Annotated[float, Ge(0)] = 0.0,
) -> tuple[Stage, ...]:
    """Two stages: strengthen a copy on the forget rows, then KL(model || z_start - alpha
    relu(z_strong - z_start)) on them.

    alpha: how strongly words that the strengthened copy prefers are turned down.
    reinforce_epochs: epochs of the first stage.
    reinforce_lr: learning rate of the first stage (0 takes the run's).
    retain_term: what is kept, by which term.
    retain_weight: its coefficient (the paper has none).
    """
    settings = {"epochs": reinforce_epochs, "steps": None} | (
        {"lr": reinforce_lr} if reinforce_lr else {}
    )
    reinforce = Descent("reinforce", (nll(stream="forget"),), training=settings, into="reinforced")
    teacher = Teacher(("start", "reinforced"), edit=partial(unlike_reinforced, alpha=alpha))
    learn = Descent(
        "learn",
        (reverse_kl(stream="forget", provider=teacher), *weighted(retain_term, retain_weight)),
    )
    return (reinforce, learn)
