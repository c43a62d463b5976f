"""The two ways in which a run can end badly, and how a near miss is named."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class Refused(ValueError):
    """The request or its data were wrong: one clear line, exit code 2, nothing was started.

    The message says what was wrong, where (``file:line``), and what to do. It never holds a text of the data.
    """


class Failed(RuntimeError):
    """Something broke while running: one clear line, exit code 1, what was finished is kept."""


def listed(names: Iterable[str], most: int = 12) -> str:
    """``a, b, c`` for an error message; cut after ``most`` names."""
    names = list(names)
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def unknown(what: str, asked: str, allowed: Iterable[str]) -> Refused:
    """The error for a name that does not exist: names the nearest, or what there is.

    >>> str(unknown("metric", "rogue", ["rouge", "probability"]))
    "no metric 'rogue'; did you mean rouge?"
    """
    allowed = sorted(allowed)
    near = get_close_matches(asked, allowed, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}?" if near else f"there are: {listed(allowed)}"
    return Refused(f"no {what} {asked!r}; {hint}")
