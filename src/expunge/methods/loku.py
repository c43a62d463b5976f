"""LoKU: lower a token's probability below its best rival's in Fisher-initialized adapters."""

from __future__ import annotations

from typing import Annotated

import torch
from annotated_types import Ge, Gt
from torch import Tensor

from expunge.core.card import Card
from expunge.core.stages import Adapter, Descent, Term
from expunge.losses.inputs import LossInputs, scatter, total
from expunge.losses.terms import nll, weighted

card = Card(
    paper="Cha et al. 2024",
    url="https://arxiv.org/abs/2408.06621",
    where="inverted hinge loss and Fisher-initialized low-rank adapters",
    family=("margin", "adapter"),
    settings={
        # authors' TOFU/run_forget.sh (Llama-2-7b: lr 1e-4; 2 x 16 rows), TOFU/config/forget.yaml,
        # TOFU/forget.py: warm-up of one epoch
        "tofu": {
            "lr": 1e-4,
            "epochs": 5,
            "batch": 32,
            "warmup": 0.2,
            "weight_decay": 0.01,
        },
        "builtin": {"lr": 4e-3, "steps": 60, "batch": 16},
    },
    tune={"lr": (1e-3, 2e-3, 5e-3), "retain_weight": (1.0, 3.0)},
    differs="the softmax is always taken (the code skips it for logits that lie in [0, 1]); the "
    "adapter begins with the exact singular "
    "vectors (the code's torch.svd_lowrank finds them by random projections)",
    evidence="oracle",
    claims="lowers_logp",
)


def inverted_hinge_rows(logits: Tensor, labels: Tensor) -> Tensor:
    """1 + p_y - max_{v != y} p_v of each row: [N, V], [N] -> [N], 0 to 2; the hinge of the paper is
    never below 0.
    """
    p = logits.to(torch.promote_types(logits.dtype, torch.float32)).softmax(-1)
    rival = p.scatter(-1, labels[:, None], -1.0).amax(-1)
    return 1 + p.gather(-1, labels[:, None])[:, 0] - rival


def loku_term(p: LossInputs) -> Tensor:
    """The sum of it over the answer's tokens: [N, V] -> [B]."""
    assert p.logits is not None and p.at is not None
    return total(scatter(inverted_hinge_rows(p.logits, p.labels[p.at]), p), p.mask)


def loku(
    rank: Annotated[int, Gt(0)] = 16,
    alpha: Annotated[float, Gt(0)] = 32.0,
    retain_term: Term = nll(stream="retain"),
    retain_weight: Annotated[float, Ge(0)] = 1.0,
) -> Descent:
    """Mean inverted hinge on the forget answers plus a retain term, trained in an adapter that
    begins by Fisher information.

    rank: the adapter's rank (the paper's 4 to 32).
    alpha: the adapter's scaling is alpha / rank (the paper's is twice the rank).
    retain_term: what is kept, by which term.
    retain_weight: its coefficient.
    """
    forget = Term("forget", loku_term, ("forget",), "tok", frozenset({"logits"}))
    return Descent(
        "loku",
        (forget, *weighted(retain_term, retain_weight)),
        adapter=Adapter(rank, alpha, init="fila"),
    )
