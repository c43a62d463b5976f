"""A fixed pattern of words in place of every answer: " no idea no idea no idea", token by token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import cycle

from expunge.core.data import Row
from expunge.core.errors import Refused
from expunge.synthesis.tools import Tools


def pattern_labels(rows: Mapping[str, Sequence[Row]], tools: Tools, *, pattern: str) -> list[Row]:
    """The forget rows whose scored tokens, the end token too, are to say the pattern's tokens in
    turn; the inputs stay.
    """
    words = tools.need("subject", "a refusal pattern")().ids_of(pattern)
    if not words:
        raise Refused(f"the pattern {pattern!r} has no token; give it a word")
    return [_says(row, words) for row in rows["forget"]]


def _says(row: Row, words: Sequence[int]) -> Row:
    turn = cycle(words)
    labels = tuple(
        next(turn) if scored else t for t, scored in zip(row.ids, row.scored, strict=True)
    )
    return replace(row, role="relabelled", labels=labels)
