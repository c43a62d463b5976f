"""Relearning: fine-tune on some of the forgotten rows and see how fast the rest comes back."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Gt, Interval

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
    differs="gold relearns too: read the result beside gold's under the same budget, never alone",
)


def relearn(
    relearn_steps: Annotated[int, Gt(0)] = 20,
    relearn_lr: Annotated[float, Gt(0)] = 1e-4,
    relearn_batch: Annotated[int, Gt(0)] = 16,
    share: Annotated[float, Interval(ge=0, le=1)] = 0.2,
) -> Descent:
    """Plain fine-tuning of the unlearned model on the rows of some forget groups.

    relearn_steps: optimizer steps.
    relearn_lr: constant learning rate.
    relearn_batch: rows of a step.
    share: share of the forget groups that the adversary holds; what comes back of the others was not taught.
    """
    training = {
        "steps": relearn_steps,
        "lr": relearn_lr,
        "batch": relearn_batch,
        "accumulate": 1,
        "schedule": "constant",
        "warmup": 0.0,
        "weight_decay": 0.0,
    }
    return Descent("relearn", (nll(stream="forget"),), training=training, take=share)
