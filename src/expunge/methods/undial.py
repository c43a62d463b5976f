"""UNDIAL: learn from the model's own distribution with the forgotten token's logit turned down."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from expunge.core.types import Card, Descent, Provider, Term
from expunge.maths.terms import cross_entropy, nll, weighted

card = Card(
    paper="Dong et al. 2025",
    url="https://arxiv.org/abs/2402.10052",
    where="section 3, self-distillation with adjusted logits",
    family=("distillation",),
    settings={"tofu": {"lr": 1e-4, "epochs": 10, "batch": 32}},  # OpenUnlearning: beta 10, lr 1e-4, 10 epochs, effective batch 32
    differs="only answer tokens are scored; the reference codes average over prompt and padding, and open-unlearning penalises column -100",
    evidence="reference",
    claims="lowers_logp",
)


def undial_teacher(logits: tuple[Tensor, ...], labels: Tensor, *, beta: float) -> Tensor:
    """z - beta e_y: the start model's logits with the label's turned down by beta: ([N, V],), [N] -> [N, V]."""
    rows = torch.arange(len(labels), device=labels.device)
    return logits[0].index_put((rows, labels), logits[0][rows, labels] - beta)


def undial(beta: float = 10.0, retain_term: Term = nll(stream="retain"), retain_weight: float = 0.0) -> Descent:
    """Cross-entropy to softmax(z_start - beta e_y) on the forget answers.

    beta: how far the label's logit is turned down (>= 0).
    retain_term: what is kept, by which term.
    retain_weight: its coefficient (>= 0; the paper has none).
    """
    forget = cross_entropy(stream="forget", provider=Provider(edit=partial(undial_teacher, beta=beta)))
    return Descent("undial", (forget, *weighted(retain_term, retain_weight)))
