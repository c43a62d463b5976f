"""SKU: train a copy on what must be forgotten alone, then subtract its change from the weights."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from annotated_types import Ge, Gt

from expunge.core.card import Card
from expunge.core.stages import Descent, Edit, Prepare, Stage
from expunge.losses.objectives import away
from expunge.losses.terms import nll, weighted
from expunge.synthesis.mismatch import mismatches
from expunge.training.edit import negated

card = Card(
    paper="Liu et al. 2024",
    url="https://arxiv.org/abs/2402.10058",
    where="knowledge acquisition, then selective negation",
    family=("merging",),
    settings={
        # authors' harmful_unlearn/unlearn_harm_new.py for 7B: LoRA on q and v, linear, no
        # clipping; the README.md's command for OPT-2.7B has lr 2e-4 and weights 2.5, 2.5, 1
        "pku_saferlhf": {
            "lr": 2e-5,
            "steps": 1000,
            "batch": 2,
            "schedule": "linear",
            "clip": 0.0,
            "lora": 32,
            "lora_alpha": 16.0,
            "lora_targets": r"\.(q_proj|v_proj)\.weight$",
        },
        # of 36 tries; what is kept falls too
        "builtin": {"lr": 2e-3, "steps": 60, "batch": 16, "scale": 0.5, "away_weight": 0.3},
    },
    tune={"lr": (1e-3, 2e-3, 3e-3), "scale": (0.3, 0.5, 0.7), "away_weight": (0.3, 1.0)},
    differs="the copy leaves the start model on the answers of retain rows, up to a cap per token "
    "(the code has none, and counts every "
    "position); losses are means over the step's tokens (the code's over the tokens of each "
    "answer, then over answers); a question meets "
    "one of its answers to other questions per epoch (the code's five at every step)",
    evidence="oracle",
    claims="lowers_logp",
)


def sku(
    learn_weight: Annotated[float, Gt(0)] = 0.5,
    mismatch_weight: Annotated[float, Ge(0)] = 1.0,
    mismatches_per_row: Annotated[int, Gt(0)] = 5,
    away_weight: Annotated[float, Ge(0)] = 1.0,
    cap: Annotated[float, Gt(0)] = 2.0,
    scale: float = 1.0,
) -> tuple[Stage, ...]:
    """theta_start - scale (theta_acquired - theta_start); the copy learns the forget rows and
    leaves the start model on what is kept.

    learn_weight: coefficient of the forget answers.
    mismatch_weight: coefficient of forget answers to other forget questions.
    mismatches_per_row: how many such answers a question has; one is met per epoch.
    away_weight: coefficient of the distance to the start model on retain rows, which negation then
        restores.
    cap: the KL in nats up to which a token counts there.
    scale: how much of the change is subtracted; 0 changes nothing, -1 gives the copy.
    """
    terms = (
        learn_weight * nll(stream="forget"),
        *weighted(nll(stream="mismatch"), mismatch_weight),
        *weighted(away("retain", cap), away_weight),
    )
    draw = Prepare("mismatch", stream="mismatch", fn=partial(mismatches, k=mismatches_per_row))
    acquire = Descent("acquire", terms, into="acquired")
    negate = Edit("negate", partial(negated, of="acquired", scale=scale), frozenset({"acquired"}))
    return (*((draw,) if mismatch_weight else ()), acquire, negate)
