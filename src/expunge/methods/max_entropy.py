"""Maximum entropy: train the forget rows toward a uniform distribution over the vocabulary."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge

from expunge.core.card import Card
from expunge.core.stages import Descent, Teacher, Term
from expunge.losses.teachers import uniform
from expunge.losses.terms import kl, nll, weighted

card = Card(
    paper="Yuan et al. 2024",
    url="https://arxiv.org/abs/2410.08109",
    where="ME+GD",
    family=("distillation",),
    settings={
        # authors' scripts/tofu/me_gd.sh (2 GPUs), config/tofu.yaml (4 x 4 rows), forget.py:
        # warm-up of one epoch
        "tofu": {
            "lr": 1e-5,
            "epochs": 5,
            "batch": 32,
            "warmup": 0.2,
            "weight_decay": 0.01,
        },
        "builtin": {"lr": 1e-3, "steps": 60, "batch": 16, "forget_weight": 0.3},
    },
    tune={"lr": (5e-4, 1e-3, 2e-3), "forget_weight": (0.1, 0.3)},
    differs="the loss is KL(uniform || model), as the paper writes and trains it: not an entropy, "
    "and unbounded",
    evidence="oracle",
    claims="lowers_logp",
)


def max_entropy(
    forget_weight: Annotated[float, Ge(0)] = 0.1,
    retain_term: Term = nll(stream="retain"),
    retain_weight: Annotated[float, Ge(0)] = 1.0,
) -> Descent:
    """Mean KL(uniform || model) over every token of the forget rows, the question's too, plus a
    retain term.

    forget_weight: coefficient of the forget term.
    retain_term: what is kept, by which term.
    retain_weight: its coefficient.
    """
    forget = kl(stream="forget", provider=Teacher(("current",), edit=uniform))
    return Descent(
        "max_entropy", (*weighted(forget, forget_weight), *weighted(retain_term, retain_weight))
    )
