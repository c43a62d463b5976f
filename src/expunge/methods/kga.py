"""KGA: match the distance to a forget-set model with the start's distance to a new-data model."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Literal

import torch
from annotated_types import Ge, Gt, Interval
from torch import Tensor

from expunge.core.card import Card
from expunge.core.stages import Controller, Descent, Prepare, Stage, Teacher, Term
from expunge.losses.gradients import Ask, Grads, State, added, scaled
from expunge.losses.inputs import LossInputs, mean, scatter
from expunge.losses.terms import kl, kl_rows, nll, weighted
from expunge.synthesis.mismatch import mismatches

card = Card(
    paper="Wang et al. 2023",
    url="https://arxiv.org/abs/2305.06535",
    where="section 3, knowledge gap alignment",
    family=("distillation",),
    settings={
        # authors' README.md, translation/arg.py and kga_translation.py: 16 forget rows to a step
        # (and 16 x 8 retain rows, which are 16 here), inverse square root after the warm-up, no
        # clipping
        "translation": {
            "lr": 2e-5,
            "steps": 5000,
            "batch": 16,
            "schedule": "inverse_sqrt",
            "warmup": 1000,
            "weight_decay": 1e-4,
            "betas": (0.9, 0.98),
            "clip": 0.0,
            "retain_weight": 0.3,
        },
        "builtin": {"lr": 2e-3, "steps": 60, "batch": 16, "retain_weight": 3.0, "helper_lr": 1e-3},
    },
    tune={"lr": (5e-4, 1e-3, 2e-3), "retain_weight": (1.0, 3.0, 5.0, 10.0)},
    differs="the two helpers are copies of the start, tuned on the forget rows and on the new "
    "rows; the paper trains them on these alone; "
    "a divergence is a mean over an answer's tokens (the code's is a sum over them); the sign is "
    "that of the step's gap, which the log "
    "tells signed (the code's is each micro-batch's own)",
    evidence="oracle",
    claims="lowers_logp",
)


def gap_teacher(logits: tuple[Tensor, ...], labels: Tensor) -> Tensor:
    """What the model of the forget rows says, and beside it KL(model of new || start): three [N, V]
    -> [N, V + 1].
    """
    of_forget, of_new, start = logits
    return torch.cat([of_forget, kl_rows(of_new, start)[:, None]], -1)


def kga_term(forget: LossInputs, new: LossInputs) -> Tensor:
    """KL(A_f || model) on forget - KL(A_n || A_start) on new, means over tokens: [B] whose mean is
    the gap, nats.
    """
    assert forget.teacher is not None and forget.logits is not None and new.teacher is not None
    far = mean(scatter(kl_rows(forget.teacher[:, :-1], forget.logits), forget), forget.mask)
    return far - mean(scatter(new.teacher[:, -1].to(far.dtype), new), new.mask)


def narrowed(ask: Ask, state: State, *, kept: bool) -> Grads:
    """The gradient of |gap| + retain term, the gap that of the whole step: a model that has
    overshot is pulled back.
    """
    gap = ask("forget")
    made = scaled(gap, 1.0 if ask.value("forget") >= 0 else -1.0)
    return added(made, ask("retain")) if kept else made


def noted(
    state: Mapping[str, float], values: Mapping[str, float], progress: float
) -> dict[str, float]:
    """The size of the first gap and of the one of now."""
    return {"first": state.get("first", abs(values["gap"])), "now": abs(values["gap"])}


def narrow(state: Mapping[str, float], *, share: float) -> bool:
    """Whether the gap is at most ``share`` of the first."""
    return "now" in state and state["now"] <= share * state["first"]


def kga(
    new: Literal["mismatch", "world", "retain"] = "mismatch",
    helper_epochs: Annotated[float, Gt(0)] = 3.0,
    helper_lr: Annotated[float, Ge(0)] = 0.0,
    stop_share: Annotated[float, Interval(ge=0, le=1)] = 0.0,
    retain_term: Term = kl(stream="retain", span="answer"),
    retain_weight: Annotated[float, Ge(0)] = 0.3,
) -> tuple[Stage, ...]:
    """Three stages: a copy tuned on forget, a copy tuned on new rows, then the gap and a leash.

    new: rows that the start has not learned: mismatch takes forget questions with the answers of
        others, world the rows of --world.
    helper_epochs: epochs of each copy, over as many rows as there are forget rows.
    helper_lr: learning rate of the copies (0 takes the run's).
    stop_share: the last stage ends when the gap is this share of the first (0 never).
    retain_term: what is kept, by which term.
    retain_weight: its coefficient.
    """
    settings = {"epochs": helper_epochs, "steps": None} | ({"lr": helper_lr} if helper_lr else {})
    of_forget = Descent("of_forget", (nll(stream="forget"),), training=settings, into="of_forget")
    # as many rows as of_forget: the gaps compare
    of_new = Descent("of_new", (nll(stream=new),), training=settings, into="of_new")
    teacher = Teacher(("of_forget", "of_new", "start"), edit=gap_teacher)
    gap = Term("gap", kga_term, ("forget", new), "seqmean", frozenset({"teacher"}), teacher)
    stop = Controller(after=noted, stop=partial(narrow, share=stop_share)) if stop_share else None
    made = (Prepare("mismatch", stream="mismatch", fn=mismatches),) if new == "mismatch" else ()
    rule = partial(narrowed, kept=retain_weight > 0)
    align = Descent(
        "align", (gap, *weighted(retain_term, retain_weight)), controller=stop, combine=rule
    )
    return (*made, of_forget, of_new, align)
