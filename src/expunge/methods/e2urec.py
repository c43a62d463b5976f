"""E2URec: a forgetting teacher on forget rows, the start model as teacher on retain rows."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Annotated

from annotated_types import Ge, Gt, Interval

from expunge.core.card import Card
from expunge.core.stages import Controller, Descent, Stage, Teacher
from expunge.losses.teachers import unlike_reinforced
from expunge.losses.terms import cross_entropy, nll, weighted

card = Card(
    paper="Wang et al. 2024",
    url="https://arxiv.org/abs/2403.03536",
    where="section 3, forgetting and remembering teachers",
    family=("distillation",),
    settings={
        # authors' train_e2urec.sh for ml-1m and unlearning_e2urec.py: no schedule, no clipping,
        # LoRA on q and v, the model of step 1000 is the one that is measured
        "movielens": {
            "lr": 1e-3,
            "steps": 1000,
            "batch": 16,
            "schedule": "constant",
            "clip": 0.0,
            "weight": 0.6,
            "alpha": 2.0,
            "reinforce_lr": 5e-5,
            "lora": 16,
            "lora_alpha": 32.0,
            "lora_targets": r"\.(q|v|q_proj|v_proj)\.weight$",
            "lora_dropout": 0.05,
        },
        "builtin": {
            "lr": 2e-3,
            "steps": 60,
            "batch": 16,
            "forget_share": 0.1,
            "reinforce_lr": 5e-3,
            "reinforce_epochs": 10,
        },
    },
    tune={"lr": (1e-3, 2e-3), "alpha": (2.0, 5.0), "weight": (0.4, 0.6, 0.8)},
    differs="the first phase is a share of the run, not a number of epochs, and keeps the "
    "coefficient 1 - weight; padding never counts; "
    "the teacher's logits are centered by their mean",
    evidence="oracle",
    claims="lowers_logp",
)


def forget_alone(
    state: Mapping[str, float], progress: float, *, share: float
) -> Mapping[str, float]:
    """No retain term while ``progress`` is below ``share``."""
    return {"nll/retain": 0.0, "ce/retain": 0.0} if progress < share else {}


def e2urec(
    alpha: Annotated[float, Ge(0)] = 2.0,
    weight: Annotated[float, Interval(ge=0, le=1)] = 0.6,
    forget_share: Annotated[float, Interval(ge=0, le=1)] = 0.2,
    reinforce_epochs: Annotated[float, Gt(0)] = 3.0,
    reinforce_lr: Annotated[float, Ge(0)] = 0.0,
) -> tuple[Stage, ...]:
    """(1 - w) CE(z_start - alpha relu(z_reinforced - z_start), model) on forget + w (NLL +
    CE(start, model)) on retain.

    alpha: how strongly words that the reinforced copy prefers are turned down.
    weight: w, of what is kept against what is forgotten.
    forget_share: share of the run that learns the forget term alone, before both.
    reinforce_epochs: epochs of the first stage.
    reinforce_lr: learning rate of the first stage (0 takes the run's).
    """
    settings = {"epochs": reinforce_epochs, "steps": None} | (
        {"lr": reinforce_lr} if reinforce_lr else {}
    )
    reinforce = Descent("reinforce", (nll(stream="forget"),), training=settings, into="reinforced")
    teacher = Teacher(("start", "reinforced"), edit=partial(unlike_reinforced, alpha=alpha))
    forget = weighted(cross_entropy(stream="forget", provider=teacher), 1 - weight)
    keep = (
        *weighted(nll(stream="retain"), weight),
        *weighted(cross_entropy(stream="retain"), weight),
    )
    phases = (
        Controller(factors=partial(forget_alone, share=forget_share)) if forget and keep else None
    )
    learn = Descent(
        "learn", (*forget, *keep), anchor="forget" if forget else "retain", controller=phases
    )
    return (reinforce, learn) if forget else (learn,)
