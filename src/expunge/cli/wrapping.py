"""Text as wide as the terminal: long lines go on below, indented; what is piped stays as it is."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap

WIDEST = 120  # columns of a terminal that are used


def terminal_width() -> int:
    """The columns to fill: those of the terminal, or of COLUMNS; 0 where the output is neither."""
    if not sys.stdout.isatty() and not os.environ.get("COLUMNS"):
        return 0
    return min(shutil.get_terminal_size().columns, WIDEST)


def wrapped(text: str, width: int) -> str:
    """A Markdown page with its long lines broken between words; code blocks, tables and addresses
    stay whole.

    Args:
        text: The page.
        width: The longest line, 0 for any.

    Returns:
        The page; a list item goes on below its text.
    """
    lines: list[str] = []
    code = False
    for line in text.split("\n"):
        code ^= line.startswith("```")
        if not width or len(line) <= width or code or line.startswith(("|", "#")):
            lines.append(line)
        else:
            lines += broken(line, width, "  " if line.startswith("- ") else "")
    return "\n".join(lines)


def broken(line: str, width: int, indent: str) -> list[str]:
    """A line broken between words, all but its first part indented."""
    return textwrap.wrap(
        line,
        width,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
        drop_whitespace=True,
    )
