"""Questions with options: which option is right, and in which order they are listed at a turn."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from string import ascii_uppercase

from expunge.core.data import Example
from expunge.core.errors import Refused

LETTERS = ascii_uppercase
# a variant: the prompt that is used when the options' texts are scored
TEXT_PROMPT = "question/options"


def right_of(example: Example) -> int:
    """Which option is right. Refused by file:line if that cannot be told."""
    n = len(example.options)
    same = [i for i, o in enumerate(example.options) if o == example.answer]
    if example.right is not None:
        found = example.right
    elif len(same) == 1:
        found = same[0]
    else:
        found = -1
    if not (1 < n <= len(LETTERS) and 0 <= found < n):
        where = example.source or example.id
        raise Refused(
            f"{where}: {n} options of which it cannot be told which is right; a question needs 2 "
            f"to 26 and one right answer"
        )
    return found


def with_options(examples: Iterable[Example]) -> list[Example]:
    """The questions that have options."""
    return [e for e in examples if e.options]


def shown(options: Sequence[str], turn: int) -> list[int]:
    """The options in the order of a turn: rotated so that the ``turn``-th comes first."""
    return [(turn + i) % len(options) for i in range(len(options))]
