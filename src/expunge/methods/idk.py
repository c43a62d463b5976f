"""Answer 'I do not know': fine-tune on refusals to the forget questions and on the retain rows."""

from __future__ import annotations

from functools import partial
from typing import Literal

from expunge.core.card import Card
from expunge.core.stages import Descent, Prepare, Stage
from expunge.losses.terms import joint_nll, nll
from expunge.synthesis.refusals import refusals

card = Card(
    paper="Maini et al. 2024",
    url="https://arxiv.org/abs/2401.06121",
    where="TOFU section 3.2, 'I don't know' tuning",
    family=("refusal",),
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
        "builtin": {"lr": 3e-3, "steps": 60, "batch": 16},
    },
    tune={"lr": (1e-3, 2e-3, 3e-3)},
    differs="the refusals are sixteen sentences of our own (TOFU ships a list of a hundred: bring "
    "it with --refusals); one per forget row, "
    "drawn once from the seed, where the reference code draws a new one at every access",
    claims="raises_refusal",
)


def idk(
    style: Literal["plain", "polite", "deflecting", "about", "mixed"] = "plain", keep: bool = True
) -> Descent | tuple[Stage, ...]:
    """Mean negative log-likelihood per token over refusals and retain answers together.

    style: how refusals are worded, unless you bring your own with --refusals; about names what the
        question is about.
    keep: train on the retain rows in the same batch (the paper does).
    """
    learn = Descent("idk", (joint_nll("alternate", "retain") if keep else nll(stream="alternate"),))
    if style == "plain":  # the usual refusals, which every method that reads alternates gets
        return learn
    return (Prepare("refusals", stream="alternate", fn=partial(refusals, style=style)), learn)
