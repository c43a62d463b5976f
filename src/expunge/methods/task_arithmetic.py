"""Task arithmetic: fine-tune a copy on the forget rows and subtract its weight change."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from annotated_types import Ge

from expunge.core.card import Card
from expunge.core.stages import Descent, Edit, Stage
from expunge.losses.terms import nll
from expunge.training.edit import negated

card = Card(
    paper="Ilharco et al. 2023",
    url="https://arxiv.org/abs/2212.04089",
    where="section 2, forgetting via negation",
    family=("merging",),
    settings={
        "builtin": {"lr": 3e-3, "batch": 16, "scale": 0.5, "epochs": 3.0},
    },
    tune={"lr": (1e-3, 2e-3, 3e-3), "scale": (0.5, 0.7, 1.0)},
    evidence="theorem",
    claims="lowers_logp",
)


def task_arithmetic(
    scale: float = 1.0,
    tune_epochs: Annotated[float, Ge(0)] = 0.0,
    tune_lr: Annotated[float, Ge(0)] = 0.0,
) -> tuple[Stage, ...]:
    """theta_start - scale (theta_tuned - theta_start), theta_tuned fine-tuned on the forget rows.

    scale: how much of the change is subtracted; 0 changes nothing, -1 gives the tuned model.
    tune_epochs: epochs of the fine-tuning (0 takes the run's epochs or steps).
    tune_lr: its learning rate (0 takes the run's).
    """
    settings = ({"epochs": tune_epochs, "steps": None} if tune_epochs else {}) | (
        {"lr": tune_lr} if tune_lr else {}
    )
    tune = Descent("tune", (nll(stream="forget"),), training=settings, into="tuned")
    return (tune, Edit("negate", partial(negated, of="tuned", scale=scale), frozenset({"tuned"})))
