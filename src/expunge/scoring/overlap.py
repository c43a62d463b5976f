"""How much of one sequence another one holds: n-gram overlap."""

from __future__ import annotations

from collections.abc import Hashable, Sequence


def grams(items: Sequence[Hashable], n: int) -> list[tuple[Hashable, ...]]:
    """The n-grams in order: none if there are fewer than n items."""
    return [tuple(items[i : i + n]) for i in range(len(items) - n + 1)]


def overlap(said: Sequence[Hashable], true: Sequence[Hashable], n: int) -> float:
    """n-grams of ``said`` that occur in ``true``, over the n-grams of ``said``: 0..1.

    Not clipped by multiplicity, as in Knowledge Unlearning: a repeated n-gram counts each time. 0
    if ``said`` has fewer than n items.
    """
    known = set(grams(true, n))
    spoken = grams(said, n)
    if spoken:
        return sum(g in known for g in spoken) / len(spoken)
    return 0.0
