"""Rows in batches whose size in tokens is bounded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor


def cut(items: Sequence[Any], most: int, size: Callable[[Any], int] = len) -> list[list[Any]]:
    """Neighbors of a sequence sorted by size in batches whose padded size stays within ``most``
    tokens (one item always fits).
    """
    batches: list[list[Any]] = []
    for item in items:
        if not batches or size(item) * (len(batches[-1]) + 1) > most:
            batches.append([])
        batches[-1].append(item)
    return batches


def by_length(items: Sequence[Any], most: int) -> list[list[int]]:
    """Indices of items, shortest first, in batches of at most ``most`` tokens with padding."""
    order = sorted(range(len(items)), key=lambda i: len(items[i]))
    found, done = [], 0
    for batch in cut([items[i] for i in order], most):
        found.append(order[done : done + len(batch)])
        done += len(batch)
    return found


def table_of(x: Tensor, at: tuple[Tensor, Tensor], rows: int) -> Tensor:
    """Values of scored tokens [N, ...] as a table [B, T, ...], zero where a row has no such token.

    Args:
        x: One value, or one row of values, for each scored token.
        at: (row, slot) of each of them.
        rows: B.
    """
    width = int(at[1].max()) + 1 if len(x) else 1
    table = torch.zeros((rows, width, *x.shape[1:]), dtype=x.dtype, device=x.device)
    return table.index_put(at, x)
