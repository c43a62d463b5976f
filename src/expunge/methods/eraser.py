"""Eraser: gradient ascent with a floor below which an answer's loss is no longer raised."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from annotated_types import Ge, Gt
from torch import Tensor

from expunge.core.card import Card
from expunge.core.stages import Descent, Term
from expunge.losses.inputs import LossInputs, mean
from expunge.losses.terms import kl, weighted

card = Card(
    paper="Lu et al. 2024",
    url="https://arxiv.org/abs/2404.05880",
    where="the three losses of section 3",
    family=("gradient ascent",),
    settings={
        # authors' train_agrs.json, Llama-2-7b-chat: threshold 1.8, lr 2e-5, cosine, 5 epochs, batch
        # 64, no weight decay, LoRA on q and v
        "harmful_answers": {
            "lr": 2e-5,
            "epochs": 5,
            "batch": 64,
            "schedule": "cosine",
            "weight_decay": 0.0,
            "gamma": 1.8,
            "lora": 8,
            "lora_alpha": 16.0,
            "lora_targets": r"\.(q_proj|v_proj)\.weight$",
            "lora_dropout": 0.05,
        },
        "builtin": {"lr": 2e-3, "steps": 60, "batch": 16, "gamma": 2.0, "retain_weight": 3.0},
    },
    tune={"lr": (5e-4, 1e-3), "gamma": (1.5, 3.0), "retain_weight": (1.0, 3.0)},
    differs="the floor holds for each answer (the code's for the mean of a batch); KL over real "
    "tokens of the retain rows only: questions "
    "about entities and refused prompts, as the paper has them, are data to give as --retain; no "
    "random prefix and suffix",
    evidence="oracle",
    claims="lowers_logp",
)


def eraser_term(p: LossInputs, *, gamma: float) -> Tensor:
    """max(0, gamma - NLL), NLL the answer's mean per token: [B, T] -> [B], nats, >= 0."""
    assert p.logp is not None
    return (gamma + mean(p.logp, p.mask)).clamp(min=0)


def eraser(
    gamma: Annotated[float, Gt(0)] = 1.8,
    forget_weight: Annotated[float, Ge(0)] = 1.0,
    retain_term: Term = kl(stream="retain"),
    retain_weight: Annotated[float, Ge(0)] = 1.0,
) -> Descent:
    """Ascent on each forget answer until its loss reaches gamma, plus a retain term (KL to the
    start model).

    gamma: the loss per token, in nats, at which an answer counts as forgotten.
    forget_weight: coefficient of the forget term.
    retain_term: what is kept, by which term.
    retain_weight: its coefficient.
    """
    forget = Term("forget", partial(eraser_term, gamma=gamma), ("forget",), "seqmean")
    return Descent(
        "eraser", (*weighted(forget, forget_weight), *weighted(retain_term, retain_weight))
    )
