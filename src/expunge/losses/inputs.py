"""LossInputs: what a forward over some rows yields, and all that a loss may see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from expunge.core.results import EMPTY
from expunge.core.stages import Reduction


@dataclass(frozen=True)
class LossInputs:
    """Scored tokens of B rows of one stream; nats.

    ``mask, labels, logp, start_logp, weight``: [B, T], T counts scored tokens (padded at the end).
    ``logp`` is the log-probability of the label; what stands at masked places is arbitrary and must
    not matter. ``hidden[layer], start_hidden[layer]``: [B, T, D], the output of a block at the
    scored tokens' own positions. Packed rows: ``at = (b, t)``, each [N], says to which place row n
    of ``logits`` and ``teacher`` [N, V] belongs; ``logits[n]`` is the row that predicts
    ``labels[b[n], t[n]]``. ``seed`` is the run's, for terms that draw a direction.
    """

    stream: str
    row_id: tuple[str, ...]
    mask: Tensor
    labels: Tensor
    logp: Tensor | None = None
    start_logp: Tensor | None = None
    weight: Tensor | None = None
    hidden: Mapping[int, Tensor] = field(default_factory=lambda: EMPTY)
    start_hidden: Mapping[int, Tensor] = field(default_factory=lambda: EMPTY)
    at: tuple[Tensor, Tensor] | None = None
    logits: Tensor | None = None
    teacher: Tensor | None = None
    seed: int = 0

    def __len__(self) -> int:
        return len(self.row_id)


def total(x: Tensor, mask: Tensor) -> Tensor:
    """Sum over the scored tokens of each row: [B, T], [B, T] -> [B].

    What is masked does not matter, NaN included.
    """
    return torch.where(mask, x, torch.zeros((), dtype=x.dtype, device=x.device)).sum(-1)


def mean(x: Tensor, mask: Tensor) -> Tensor:
    """Mean over the scored tokens of each row: [B, T], [B, T] -> [B].

    A row without scored tokens gives 0.
    """
    return total(x, mask) / mask.sum(-1).clamp(min=1)


def reduce_tokens(x: Tensor, mask: Tensor, reduction: Reduction) -> Tensor:
    """Per-token values -> per-example values that fit a Term's ``reduction``: [B, T] -> [B].

    ``tok``, ``seqsum`` and ``allpos`` sum (the loop divides by tokens, rows or positions);
    ``seqmean`` averages first.
    """
    return mean(x, mask) if reduction == "seqmean" else total(x, mask)


def scatter(x: Tensor, p: LossInputs) -> Tensor:
    """Packed values back to their places: [N] -> [B, T], zero elsewhere; differentiable."""
    assert p.at is not None
    return torch.zeros(p.mask.shape, dtype=x.dtype, device=x.device).index_put(p.at, x)


def denominator(passes: Sequence[LossInputs], reduction: Reduction) -> int:
    """What the values of a batch are divided by: scored tokens (``tok``) or positions (``allpos``)
    of all its streams, or its rows.
    """
    if reduction == "tok":
        return sum(int(p.mask.sum()) for p in passes)
    if reduction == "allpos":
        return sum(p.mask.numel() for p in passes)
    return len(passes[0])


def loss_of(term: Any, *passes: LossInputs) -> Tensor:
    """The term as one number on one batch, its coefficient included: what the loop minimizes, for
    tests and read-outs.
    """
    return term.coef * term(*passes).sum() / denominator(passes, term.reduction)
