"""Rows in batches of bounded size, and values of tokens as one value a row: what passes through
hidden states share.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from expunge.core.data import Row
from expunge.evaluation.observations.gradient_norm import without_end
from expunge.models.batching import by_length
from expunge.models.causal_lm.forward import Packed, at_once
from expunge.models.causal_lm.model import Subject


def batches(subject: Subject, rows: Sequence[Row]) -> Iterator[tuple[list[int], Packed]]:
    """(places in ``rows``, the rows packed) in batches bounded in tokens, shortest rows first;
    closing end-of-sequence tokens unscored.
    """
    bare = [without_end(r) for r in rows]
    most = max(512, min(at_once(subject.device), (1 << 27) // subject.vocab))
    for places in by_length(rows, most):
        yield places, subject.pack([bare[i] for i in places])


def by_row(packed: Packed, x: Tensor) -> Tensor:
    """Packed values [N, ...] -> their mean over each row's scored tokens: [B, ...]."""
    n = torch.bincount(packed.at[0], minlength=len(packed.rows)).to(x)
    return packed.table(x).sum(1) / n.view(-1, *[1] * (x.dim() - 1))
