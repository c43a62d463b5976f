"""Gradient ascent: raise the loss on the forget rows; unbounded, so it needs a stopping rule.

Unbounded, so it needs few steps and a stop.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from statistics import fmean
from typing import Annotated, Literal

from annotated_types import Gt, Interval

from expunge.core.card import Card
from expunge.core.data import Row
from expunge.core.stages import Controller, Descent
from expunge.losses.terms import ascent
from expunge.models.base import TrainableModel
from expunge.synthesis.memorization import accuracy, extraction

card = Card(
    paper="Jang et al. 2023; Zhao et al. 2024",
    url="https://arxiv.org/abs/2210.01504",
    where="section 3.1, equation 1; the stop on shuffled text is GRACE's",
    family=("ascent",),
    settings={
        # open-unlearning scripts/tofu_unlearn.sh, unlearn/tofu/default.yaml: warm-up of one epoch
        "tofu": {
            "lr": 1e-5,
            "epochs": 10,
            "batch": 32,
            "warmup": 0.1,
            "weight_decay": 0.01,
        },
        "builtin": {"lr": 1e-3, "steps": 10, "batch": 16},
    },
    differs="loss and stop rules are taken on the answer, as in TOFU; the paper takes whole "
    "sequences (give raw text rows for that)",
    evidence="reference",
    claims="lowers_logp",
)

Rows = Mapping[str, Sequence[Row]]
State = Mapping[str, float]


def memorized(
    model: TrainableModel, step: int, state: State, rows: Rows, *, n: int
) -> dict[str, float]:
    """Mean MA and EL_n of the forget answers."""
    forget = rows["forget"]
    return {
        "ma": fmean(accuracy(model, forget, span="answer")),
        "el": fmean(extraction(model, forget, n=n, span="answer")),
    }


def forgotten(state: State, *, ma: float, el: float) -> bool:
    """Whether both are below what unseen rows have; False before they were measured."""
    return state["ma"] < ma and state["el"] < el


def shuffled(row: Row) -> Row:
    """The row with its scored tokens in another order, drawn from its id."""
    at = [i for i, s in enumerate(row.scored) if s]
    ids = list(row.ids)
    order = random.Random(f"shuffled/{row.id}").sample(at, len(at))
    for i, j in zip(at, order, strict=True):
        ids[i] = row.ids[j]
    return replace(row, ids=tuple(ids))


def surprised(
    model: TrainableModel, step: int, state: State, rows: Rows, *, batch: int = 16
) -> dict[str, float]:
    """Mean NLL per token of the forget answers now, and of the same answers shuffled as the start
    model had it.
    """

    def loss(some: Sequence[Row]) -> float:
        total, count = 0.0, 0
        for i in range(0, len(some), batch):
            packed, logits = model.predict(some[i : i + batch])
            total -= float(logits.float().log_softmax(-1).gather(-1, packed.labels[:, None]).sum())
            count += len(packed.labels)
        return total / count

    random_text = state["shuffled"] if step else loss([shuffled(r) for r in rows["forget"]])
    return {"forget": loss(rows["forget"]), "shuffled": random_text}


def grad_ascent(
    stop: Literal["never", "memorization", "shuffled"] = "never",
    ma: Annotated[float, Interval(ge=0, le=1)] = 0.2994,
    el: Annotated[float, Interval(ge=0, le=1)] = 0.0499,
    el_tokens: Annotated[int, Gt(0)] = 10,
) -> Descent:
    """Minus the mean negative log-likelihood per answer token of the forget rows.

    stop: asked once an epoch; memorization: MA and EL are below ma and el; shuffled: the answers
        are as unlikely as shuffled ones were.
    ma: memorization accuracy of unseen rows, measured by you.
    el: extraction likelihood of unseen rows, measured by you.
    el_tokens: the n of EL_n; shorter answers have an EL of 0.
    """
    control = {
        "never": None,
        "memorization": Controller(
            {"ma": 1.0, "el": 1.0},
            watch=partial(memorized, n=el_tokens),
            stop=partial(forgotten, ma=ma, el=el),
        ),
        "shuffled": Controller(
            {"forget": 0.0, "shuffled": 1.0},
            watch=surprised,
            stop=lambda s: s["forget"] >= s["shuffled"],
        ),
    }[stop]
    return Descent("grad_ascent", (ascent(stream="forget"),), controller=control)
