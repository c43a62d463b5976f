"""How much of one sequence another one holds: n-gram overlap."""

from __future__ import annotations

from collections.abc import Hashable, Sequence


def grams(items: Sequence[Hashable], n: int) -> list[tuple[Hashable, ...]]:
    """The n-grams of a sequence, in order.

    Args:
        items: The sequence.
        n: The length of the n-grams.

    Returns:
        The n-grams; none if there are fewer than n items.
    """
    return [tuple(items[i : i + n]) for i in range(len(items) - n + 1)]


def overlap(said: Sequence[Hashable], true: Sequence[Hashable], n: int) -> float:
    """The share of the n-grams of an output that occur in the true text.

    Not clipped by multiplicity, as in Knowledge Unlearning: a repeated n-gram counts each time.

    Args:
        said: The output.
        true: The true text.
        n: The length of the n-grams.

    Returns:
        From 0 to 1; 0 if the output has fewer than n items.
    """
    known = set(grams(true, n))
    spoken = grams(said, n)
    if spoken:
        return sum(g in known for g in spoken) / len(spoken)
    return 0.0
