"""CRINGE: at every forgotten token, raise a word that the model itself likes above it."""

from __future__ import annotations

from functools import partial
from hashlib import blake2b
from typing import Annotated

import torch
from annotated_types import Ge, Gt
from torch import Tensor
from torch.nn.functional import softplus

from expunge.core.card import Card
from expunge.core.stages import Descent, Term
from expunge.losses.inputs import LossInputs, scatter, total
from expunge.losses.reweighting import fixed
from expunge.losses.terms import nll, weighted

card = Card(
    paper="Adolphs et al. 2022",
    url="https://arxiv.org/abs/2211.05826",
    where="the contrastive token loss",
    family=("margin",),
    settings={
        "builtin": {
            "lr": 2e-3,
            "steps": 60,
            "batch": 16,
            "forget_weight": 0.3,
            "retain_weight": 1.0,
        }
    },
    tune={"lr": (5e-4, 1e-3), "forget_weight": (0.1, 0.3, 1.0)},
    differs="one round (the paper trains again and again on what a classifier rejects); with k "
    "above 1 a token keeps its draw through the "
    "run, so that batches and restarts do not change it",
    evidence="oracle",
    claims="lowers_logp",
)


def draws(p: LossInputs, k: int) -> Tensor:
    """Uniform numbers in (0, 1) for each packed row, from (seed, row id, place) alone: [N, k]."""
    found = torch.zeros(*p.mask.shape, k)
    for b, (row, n) in enumerate(zip(p.row_id, p.mask.sum(-1).tolist(), strict=True)):
        key = int.from_bytes(
            blake2b(f"{p.seed}/cringe/{row}".encode(), digest_size=7).digest(), "big"
        )
        found[b, :n] = torch.rand(n, k, generator=torch.Generator().manual_seed(key))
    assert p.at is not None
    return found.to(p.mask.device)[p.at].clamp(min=1e-30)


def rival(p: LossInputs, k: int) -> Tensor:
    """The logit s* of a word drawn from the model's k likeliest, the label excluded, by their
    softmax: [N]. k = 1 is the likeliest.
    """
    assert p.logits is not None and p.at is not None
    others = p.logits.scatter(-1, p.labels[p.at][:, None], -torch.inf)
    best = others.topk(k, -1).values
    if k == 1:
        return best[:, 0]
    gumbel = -(-draws(p, k).to(best).log()).log()
    return best.gather(-1, (best.detach() + gumbel).argmax(-1, keepdim=True))[:, 0]


def cringe_term(p: LossInputs, *, k: int, detach: bool) -> Tensor:
    """Sum over tokens of log(1 + exp(s_y - s*)), s logits, y the label: [N, V] -> [B], nats.

    ``detach``: no gradient through s*.
    """
    assert p.logits is not None and p.at is not None
    other = rival(p, k)
    contrast = softplus(
        p.logits.gather(-1, p.labels[p.at][:, None])[:, 0] - (fixed(other) if detach else other)
    )
    return total(scatter(contrast, p), p.mask)


def cringe(
    k: Annotated[int, Gt(0)] = 1,
    detach: bool = False,
    forget_weight: Annotated[float, Ge(0)] = 1.0,
    retain_term: Term = nll(stream="retain"),
    retain_weight: Annotated[float, Ge(0)] = 1.0,
) -> Descent:
    """Mean token contrast on the forget answers plus a retain term.

    k: how many of the likeliest other words the rival is drawn from; 1 takes the likeliest.
    detach: hold the rival's logit still, so that only the label's falls.
    forget_weight: coefficient of the contrast.
    retain_term: what is kept, by which term.
    retain_weight: its coefficient.
    """
    forget = Term(
        "forget",
        partial(cringe_term, k=k, detach=detach),
        ("forget",),
        "tok",
        frozenset({"logits"}),
    )
    return Descent(
        "cringe", (*weighted(forget, forget_weight), *weighted(retain_term, retain_weight))
    )
