"""FLAT: maximize an f-divergence between the template answer and the forgotten one."""

from __future__ import annotations

from functools import partial
from math import log
from typing import Annotated, Literal

import torch
from annotated_types import Ge
from torch import Tensor
from torch.nn.functional import softplus

from expunge.core.card import Card
from expunge.core.stages import Descent, Term
from expunge.losses.inputs import LossInputs, mean
from expunge.losses.terms import nll, weighted

card = Card(
    paper="Wang et al. 2024",
    url="https://arxiv.org/abs/2410.11143",
    where="table of f-divergences with their variational functions",
    family=("preference", "refusal"),
    settings={
        # authors' README.md (Llama-2-7b: lr 2e-7, 4 x 4 rows on 2 GPUs; config/forget.yaml alone
        # has 1e-5), config/forget.yaml, unlearn.py: warm-up of one epoch
        "tofu": {
            "lr": 2e-7,
            "epochs": 5,
            "batch": 32,
            "warmup": 0.2,
            "weight_decay": 0.01,
        },
        "builtin": {"lr": 2e-3, "steps": 60, "batch": 16, "divergence": "kl", "retain_weight": 1.0},
    },
    tune={"lr": (3e-4, 1e-3, 2e-3), "divergence": ("tv", "kl"), "retain_weight": (0.3, 1.0)},
    differs="the divergence is taken of each row's two probabilities and then averaged (the code "
    "takes it of the batch's means); "
    "probabilities are averaged over the answer's tokens; the code also counts masked columns, so "
    "that padding changes its loss",
    evidence="oracle",
    claims="raises_refusal",
)


def flat_values(template: Tensor, forget: Tensor, divergence: str) -> Tensor:
    """-g(P_e) + f*(g(P_f)) of mean label probabilities of the template and the forget answer: [B],
    [B] -> [B].
    """
    if divergence == "kl":
        return -template + torch.exp(forget - 1)
    if divergence == "js":
        return softplus(-template) + forget + softplus(-forget) - 2 * log(2)
    if divergence == "pearson":
        return -template + forget + forget.square() / 4
    return (torch.tanh(forget) - torch.tanh(template)) / 2


def flat_term(template: LossInputs, forget: LossInputs, *, divergence: str) -> Tensor:
    """The same of two LossInputs, P the mean over an answer's tokens of their probabilities: [B, T]
    each -> [B].
    """
    assert template.logp is not None and forget.logp is not None
    return flat_values(
        mean(template.logp.exp(), template.mask), mean(forget.logp.exp(), forget.mask), divergence
    )


def flat(
    divergence: Literal["tv", "kl", "js", "pearson"] = "tv",
    retain_term: Term = nll(stream="retain"),
    retain_weight: Annotated[float, Ge(0)] = 0.0,
) -> Descent:
    """Loss adjustment between a refusal and the forget answer; no start model, and no retain rows
    unless asked for.

    divergence: total variation (tv, the paper's default), Kullback-Leibler, Jensen-Shannon or
        Pearson.
    retain_term: what is kept, by which term.
    retain_weight: its coefficient (the paper has none).
    """
    forget = Term(
        "forget", partial(flat_term, divergence=divergence), ("alternate", "forget"), "seqmean"
    )
    return Descent("flat", (forget, *weighted(retain_term, retain_weight)))
