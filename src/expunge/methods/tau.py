"""TAU: selective gradient ascent, then the negation of a task vector from where that ended."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from annotated_types import Ge, Gt, Interval

from expunge.core.card import Card
from expunge.core.stages import Descent, Edit, Stage, Term
from expunge.losses.terms import nll, weighted
from expunge.methods._selective import selective
from expunge.training.edit import negated

card = Card(
    paper="Barbulescu and Triantafillou 2024",
    url="https://arxiv.org/abs/2405.03097",
    where="task arithmetic for unlearning",
    family=("gradient ascent", "merging"),
    settings={
        "builtin": {
            "lr": 1e-3,
            "steps": 60,
            "batch": 16,
            "threshold": 0.8,
            "scale": 0.1,
            "retain_weight": 1.0,
        },  # ours: the best of a few tries there
    },
    tune={"lr": (5e-4, 1e-3), "scale": (0.03, 0.1, 0.3), "retain_weight": (1.0, 3.0)},
    differs="the first stage is ours as in sga; the fine-tuned model of the task vector starts "
    "from its result",
    evidence="reconstructed",
    claims="lowers_logp",
)


def tau(
    threshold: Annotated[float, Interval(ge=0, le=1)] = 0.5,
    scale: Annotated[float, Ge(0)] = 1.0,
    tune_epochs: Annotated[float, Gt(0)] = 1.0,
    tune_lr: Annotated[float, Ge(0)] = 0.0,
    retain_term: Term = nll(stream="retain"),
    retain_weight: Annotated[float, Ge(0)] = 0.0,
) -> tuple[Stage, ...]:
    """theta - scale (theta_tuned - theta): theta after selective ascent, theta_tuned the same
    fine-tuned on the forget rows.

    threshold: share of an answer's tokens that the model must still say first for the row to be
        unlearned.
    scale: how much of the change is subtracted; 0 is sga.
    tune_epochs: epochs of the fine-tuning.
    tune_lr: its learning rate (0 takes the run's).
    retain_term: what is kept during the ascent, by which term.
    retain_weight: its coefficient (the paper has none).
    """
    settings = {"epochs": tune_epochs, "steps": None} | ({"lr": tune_lr} if tune_lr else {})
    ascend = Descent("sga", (selective(threshold), *weighted(retain_term, retain_weight)))
    tune = Descent("tune", (nll(stream="forget"),), training=settings, into="tuned")
    return (
        ascend,
        tune,
        Edit("negate", partial(negated, of="tuned", scale=scale), frozenset({"tuned"})),
    )
