"""Rows in batches whose size in tokens is bounded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any


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
