"""Texts with words replaced: where a word stands, in which capitals, and which replacements
together make the best neighbors.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations


@dataclass(frozen=True)
class Swap:
    """``new`` in place of the characters ``first`` to ``last`` of a text; a higher ``rank`` fits
    better.
    """

    rank: float
    first: int
    last: int
    new: str


def neighbors_of(text: str, swaps: Sequence[Swap], n: int, words: int = 1) -> list[str]:
    """The texts of the highest summed rank, with some words replaced.

    Several words: chosen among the sets of different words that the fewest best swaps make.

    Args:
        text: The text.
        swaps: Possible replacements of single words, with ranks.
        n: How many texts.
        words: How many words are replaced in each; fewer where fewer can be.

    Returns:
        The texts, the best first.
    """
    ranked = sorted(swaps, key=lambda s: (-s.rank, s.first, s.new))
    size = min(words, len({s.first for s in swaps}))
    sets: list[tuple[Swap, ...]] = []
    for k, swap in enumerate(ranked):
        if len(sets) >= n:
            break
        some = [(*others, swap) for others in combinations(ranked[:k], size - 1)]
        for swaps in some:
            firsts = {x.first for x in swaps}
            if len(firsts) == size:
                sets.append(swaps)
    sets.sort(key=lambda s: -sum(x.rank for x in s))
    return [_replaced(text, s) for s in sets[:n]]


def _replaced(text: str, swaps: Sequence[Swap]) -> str:
    for s in sorted(swaps, key=lambda s: -s.first):
        text = text[: s.first] + s.new + text[s.last :]
    return text


def core(text: str, first: int, last: int) -> tuple[int, int]:
    """The characters of a word without what is neither letter nor digit at its ends.

    Args:
        text: The text.
        first: Where the word begins.
        last: Where it ends.

    Returns:
        The span; empty if no letter or digit is in it.
    """
    while first < last and not text[first].isalnum():
        first += 1
    while first < last and not text[last - 1].isalnum():
        last -= 1
    return first, last


def in_case(new: str, old: str) -> str:
    """A word in the capitals of another.

    Args:
        new: The word.
        old: The word whose capitals it takes.

    Returns:
        The word.

    >>> in_case("london", "Paris"), in_case("un", "EU"), in_case("I", "we")
    ('London', 'UN', 'I')
    """
    if len(old) > 1 and old.isupper():
        return new.upper()
    if old[:1].isupper():
        return new[:1].upper() + new[1:]
    return new


def blocks(spans: Sequence[tuple[int, int]], room: int) -> Iterator[tuple[int, int]]:
    """Words in runs of a limited number of tokens.

    Args:
        spans: The first and last token of each word.
        room: The most tokens of a run.

    Returns:
        The first and last word of each run; a longer word is a run of its own.
    """
    start = spans[0][0] if spans else 0
    for (_, last), (_, end) in zip(spans, [*spans[1:], (0, 1 << 60)], strict=True):
        if end - start > room:
            yield start, last
            start = last
