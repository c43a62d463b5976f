"""Relearning: fine-tune on some of the forgotten rows, or on others, and see how fast the rest
comes back.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Interval

from expunge.core.attack import Attack, Holding
from expunge.core.card import Card
from expunge.core.stages import Descent
from expunge.losses.terms import nll

card = Card(
    paper="Lynch et al. 2024; Hu et al. 2024",
    url="https://arxiv.org/abs/2406.13356",
    where="benign and in-distribution relearning",
    family=("fine-tuning",),
    evidence="oracle",
    rights=("weights",),
    defeats="misdirected_states",
    strength=("relearn_steps", (5, 10, 20)),
    settings={
        "builtin": {"relearn_lr": 5e-4, "share": 0.25},
        # of the meta-evaluation: every forget row, once
        "meta:builtin": {"relearn_epochs": 1.0, "relearn_lr": 5e-4, "share": 1.0},
    },
    differs="gold relearns too: read the result beside gold's under the same budget, never alone",
)


def relearn(
    relearn_steps: Annotated[int, Gt(0)] = 20,
    relearn_epochs: Annotated[float, Ge(0)] = 0.0,
    relearn_lr: Annotated[float, Gt(0)] = 1e-4,
    relearn_batch: Annotated[int, Gt(0)] = 16,
    share: Annotated[float, Interval(ge=0, le=1)] = 0.2,
    most: Annotated[int, Ge(0)] = 0,
    rows: Literal["forget", "retain", "world"] = "forget",
) -> Attack:
    """Plain fine-tuning of the unlearned model on rows that the adversary holds.

    relearn_steps: optimizer steps.
    relearn_epochs: passes over the rows instead of a number of steps; 0: by steps.
    relearn_lr: constant learning rate.
    relearn_batch: rows of a step.
    share: share of the groups that the adversary holds; what comes back of the other forget groups
        was not taught.
    most: at most so many rows of them; 0: all.
    rows: which he holds: forget, or harmless ones (benign relearning): retain, or world, given with
        --world.
    """
    training: dict[str, Any] = {
        "steps": None if relearn_epochs else relearn_steps,
        "lr": relearn_lr,
        "batch": relearn_batch,
        "accumulate": 1,
        "schedule": "constant",
        "warmup": 0.0,
        "weight_decay": 0.0,
    }
    if relearn_epochs:
        training["epochs"] = relearn_epochs
    stage = Descent("relearn", (nll(stream=rows),), anchor=rows, training=training)
    unit, count = ("epochs", relearn_epochs) if relearn_epochs else ("steps", relearn_steps)
    axis = f"relearning {unit}" + ("" if rows == "forget" else f" on {rows} rows")
    return Attack(
        "relearn",
        (stage,),
        holds=Holding(rows, share, most),
        at=count,
        axis=axis,
        said=f"after {count:g} {axis}",
    )
