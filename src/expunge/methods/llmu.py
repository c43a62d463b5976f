"""LLMU: ascent on the answers, training on unrelated ones, and KL to the start on retain rows."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from annotated_types import Ge, Gt

from expunge.core.card import Card
from expunge.core.stages import Descent, Prepare, Stage, Term
from expunge.losses.terms import ascent, kl, nll, weighted
from expunge.synthesis.mismatch import mismatches

card = Card(
    paper="Yao, Xu and Liu 2023",
    url="https://arxiv.org/abs/2310.10683",
    where="section 3.2, the three losses",
    family=("gradient ascent",),
    settings={
        # authors' unlearn_harm.py, OPT-1.3B: linear, no clipping
        "truthfulqa": {
            "lr": 2e-6,
            "steps": 1000,
            "batch": 2,
            "schedule": "linear",
            "clip": 0.0,
        },
        "builtin": {  # ours: the best of a few tries there
            "lr": 2e-3,
            "steps": 60,
            "batch": 16,
            "forget_weight": 0.2,
            "mismatch_weight": 0.3,
            "retain_term": "nll",
            "retain_weight": 3.0,
        },
    },
    tune={"lr": (5e-4, 1e-3, 2e-3), "forget_weight": (0.1, 0.2, 0.5), "retain_weight": (1.0, 3.0)},
    differs="questions and padding are never trained, answers are drawn per row and not per batch, "
    "the KL is over real tokens only; the "
    "published stop on the loss never fired and is left out: the step budget stops",
    claims="lowers_logp",
)


def llmu(
    forget_weight: Annotated[float, Ge(0)] = 0.5,
    mismatch_weight: Annotated[float, Ge(0)] = 1.0,
    mismatches_per_row: Annotated[int, Gt(0)] = 5,
    retain_term: Term = kl(stream="retain"),
    retain_weight: Annotated[float, Ge(0)] = 1.0,
) -> tuple[Stage, ...]:
    """forget_weight x ascent + mismatch_weight x NLL of retain answers to forget questions (both
    means per answer) + retain term.

    forget_weight: coefficient of the ascent.
    mismatch_weight: coefficient of the answers that belong to other questions.
    mismatches_per_row: how many such answers a question has; one is met per epoch.
    retain_term: what is kept, by which term.
    retain_weight: its coefficient.
    """
    draw = partial(mismatches, k=mismatches_per_row, pool="retain")
    prepare = Prepare("mismatch", stream="mismatch", fn=draw, reads=("forget", "retain"))
    terms = (
        *weighted(ascent(stream="forget", reduction="seqmean"), forget_weight),
        *weighted(nll(stream="mismatch", reduction="seqmean"), mismatch_weight),
        *weighted(retain_term, retain_weight),
    )
    return (*((prepare,) if mismatch_weight else ()), Descent("llmu", terms))
