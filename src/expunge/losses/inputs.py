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
    """Sum over the scored tokens of each row.

    Masked values do not matter, NaN included.

    Args:
        x: A value per scored token, [B, T].
        mask: Which tokens count, [B, T].

    Returns:
        One value per row, [B].
    """
    return torch.where(mask, x, torch.zeros((), dtype=x.dtype, device=x.device)).sum(-1)


def mean(x: Tensor, mask: Tensor) -> Tensor:
    """Mean over the scored tokens of each row.

    Args:
        x: A value per scored token, [B, T].
        mask: Which tokens count, [B, T].

    Returns:
        One value per row, [B]; 0 for a row without scored tokens.
    """
    return total(x, mask) / mask.sum(-1).clamp(min=1)


def reduce_tokens(x: Tensor, mask: Tensor, reduction: Reduction) -> Tensor:
    """Values per token as values per row that fit a Term's reduction.

    Args:
        x: A value per scored token, [B, T].
        mask: Which tokens count, [B, T].
        reduction: ``tok``, ``seqsum`` and ``allpos`` sum (the loop divides by tokens, rows or
            positions); ``seqmean`` averages first.

    Returns:
        One value per row, [B].
    """
    return mean(x, mask) if reduction == "seqmean" else total(x, mask)


def scatter(x: Tensor, p: LossInputs) -> Tensor:
    """Packed values at their places, zero elsewhere; differentiable.

    Args:
        x: Packed values, [N].
        p: The scored tokens that they belong to, with ``at``.

    Returns:
        A value per scored token, [B, T].
    """
    assert p.at is not None
    return torch.zeros(p.mask.shape, dtype=x.dtype, device=x.device).index_put(p.at, x)


def denominator(passes: Sequence[LossInputs], reduction: Reduction) -> int:
    """What the values of a batch are divided by.

    Args:
        passes: The scored tokens of each stream.
        reduction: The reduction of the term.

    Returns:
        The scored tokens (``tok``) or positions (``allpos``) of all streams, or the rows.
    """
    if reduction == "tok":
        return sum(int(p.mask.sum()) for p in passes)
    if reduction == "allpos":
        return sum(p.mask.numel() for p in passes)
    return len(passes[0])


def loss_of(term: Any, *passes: LossInputs) -> Tensor:
    """The term as one number on one batch, its coefficient included.

    Args:
        term: A Term.
        passes: The scored tokens of each of its streams.

    Returns:
        What the loop minimizes, for tests and read-outs.
    """
    return term.coef * term(*passes).sum() / denominator(passes, term.reduction)
