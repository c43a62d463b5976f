"""The one writer of Markdown tables."""

from __future__ import annotations

from collections.abc import Sequence


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose columns stand straight in a terminal too.

    Args:
        head: The titles of the columns.
        rows: The cells, as many in each row as there are titles.

    Returns:
        The lines of the table; a vertical bar in a cell is escaped.
    """
    cells = []
    for row in (head, *rows):
        cells.append([cell.replace("|", "\\|") for cell in row])
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    cells.insert(1, ["-" * width for width in widths])
    return "\n".join(_line(row, widths) for row in cells)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [cell.ljust(width) for cell, width in zip(cells, widths, strict=True)]
    return f"| {' | '.join(padded)} |"
