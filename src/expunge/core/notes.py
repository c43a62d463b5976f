"""One line for what is neither refused nor used: a column, a row, a turn that is left aside."""

from __future__ import annotations

from expunge.core.escape import LOG, escaped

# without a handler of the caller's own, Python writes warnings to standard error
MOST = 10_000  # lines remembered
_said: set[str] = set()


def note(line: str) -> None:
    """Say ``line`` once in this process, as a warning of the logger "expunge".

    Args:
        line: what was left aside and where; never a text of the data. Control characters in it are
            escaped.
    """
    plain = escaped(line)
    if plain in _said or len(_said) >= MOST:
        return
    _said.add(plain)
    LOG.warning("%s", plain)


def forget_notes() -> None:
    """Let every line be said again: for tests, and for a caller that begins another run in this
    process.
    """
    _said.clear()
