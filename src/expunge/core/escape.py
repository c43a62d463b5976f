"""What reaches the terminal: everything foreign (keys, names, paths, words of libraries) without
its control characters.
"""

from __future__ import annotations

import logging
import sys
import unicodedata
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

LOG = logging.getLogger("expunge")
# control, format (text direction among them), halves of surrogate pairs, line and paragraph
# separators
TRICKY = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def escaped(text: object, keep: str = "") -> str:
    r"""A text with every character escaped that moves the cursor, colors, hides or breaks a line.

    ``keep``: characters that stay as they are.

    >>> escaped("a\x1b[2K\nexpunge: ok")
    'a\\x1b[2K\\nexpunge: ok'
    """
    said = str(text)
    if said.isascii() and said.isprintable():
        return said
    return "".join(
        _written(c) if c not in keep and unicodedata.category(c) in TRICKY else c for c in said
    )


def _written(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def say(text: object) -> None:
    """Log one line about the work under way, for the logger "expunge".

    The command line shows it on standard error; in Python it is up to the caller's own handlers.

    Args:
        text: What is logged, at INFO; at WARNING where it begins with ``warning:``.
    """
    line = escaped(text)
    level = logging.WARNING if line.startswith("warning:") else logging.INFO
    LOG.log(level, "%s", line)


def print_error(text: object) -> None:
    """Print one line on standard error, at once."""
    print(escaped(text), file=sys.stderr, flush=True)


def tell(text: object) -> None:
    """Lines on standard output; line breaks stay."""
    print(escaped(text, keep="\n"))


def terminal(stderr: bool = False) -> Console:
    """rich's console with control characters written out, and no markup or emoji code read from
    what is printed.
    """
    from rich.console import Console as Plain
    from rich.segment import Segment

    class Escaping(Plain):
        def render(self, renderable: Any, options: Any = None) -> Iterable[Segment]:
            for text, style, control in super().render(renderable, options):
                yield Segment(text if control else escaped(text, keep="\n"), style, control)

    return Escaping(stderr=stderr, markup=False, emoji=False)
