"""Reasoned 'I do not know': train on an inconclusive chain of thought followed by a refusal."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from annotated_types import Ge

from expunge.core.card import Card
from expunge.core.stages import Descent, Prepare, Stage, Term
from expunge.losses.terms import nll, weighted
from expunge.synthesis.inconclusive import inconclusive

card = Card(
    paper="Yoon et al. 2025",
    url="https://arxiv.org/abs/2505.15214",
    where="reasoned IDK",
    family=("refusal",),
    settings={
        # authors' scripts/tofu/unlearn.sh (8 GPUs; lr 1e-5, 5e-6 or 2e-6, 1 to 5 epochs),
        # config/tofu.yaml (4 rows each), forget.py: warm-up of one epoch;
        # DeepSeek-R1-Distill-Llama-8B
        "r_tofu": {
            "lr": 1e-5,
            "epochs": 5,
            "batch": 32,
            "warmup": 0.2,
            "weight_decay": 0.01,
        },
        "builtin": {"lr": 4e-3, "steps": 60, "batch": 16},  # ours: the best of a few tries there
    },
    tune={"lr": (1e-3, 2e-3, 4e-3), "retain_weight": (1.0, 3.0)},
    differs="what opens the thoughts is learned with them (the code puts it into the prompt: give "
    "--opening '' if your template does); "
    "thoughts belong to their row by id, not by place; without --chat they are put together from "
    "sentences; a term of its own for "
    "retain, as the reference code has it",
    evidence="oracle",
    claims="raises_refusal",
)


def r_idk(
    opening: str = "<think>\n",
    closing: str = "\n</think>\n\n",
    retain_term: Term = nll(stream="retain"),
    retain_weight: Annotated[float, Ge(0)] = 1.0,
) -> tuple[Stage, ...]:
    """Mean negative log-likelihood of thoughts and refusal to the forget questions, plus a retain
    term.

    opening: what the model writes before its thoughts.
    closing: what it writes between thoughts and answer.
    retain_term: what is kept, by which term.
    retain_weight: its coefficient.
    """
    think = partial(inconclusive, opening=opening, closing=closing)
    prepare = Prepare("thoughts", stream="alternate", fn=think)
    return (
        prepare,
        Descent("r_idk", (nll(stream="alternate"), *weighted(retain_term, retain_weight))),
    )
