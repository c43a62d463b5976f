"""What SGA and TAU share: gradient ascent on the forget rows that the model has memorized."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from expunge.core.stages import Term
from expunge.losses.inputs import LossInputs, mean, scatter


def memorized(p: LossInputs) -> Tensor:
    """Share of the row's scored tokens that are the model's first choice: packed logits [N, V] ->
    [B], in [0, 1], without gradient.
    """
    assert p.logits is not None and p.at is not None
    hits = (p.logits.detach().argmax(-1) == p.labels[p.at]).to(p.logits.dtype)
    return mean(scatter(hits, p), p.mask)


def sga_term(p: LossInputs, *, threshold: float) -> Tensor:
    """1[memorized >= threshold] x mean log-probability of the answer: [B, T] -> [B], nats."""
    assert p.logp is not None
    value = mean(p.logp, p.mask)
    return torch.where(memorized(p) >= threshold, value, torch.zeros_like(value))


def selective(threshold: float) -> Term:
    """Minus the mean negative log-likelihood of the forget rows whose memorization is at least
    ``threshold``, in this step's forward.
    """
    return Term(
        "forget",
        partial(sga_term, threshold=threshold),
        ("forget",),
        "seqmean",
        frozenset({"logits"}),
    )
