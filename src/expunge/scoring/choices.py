"""Which option a model chooses, by letter or by text, from the records of questions with
options.

Of equal scores the first shown wins: a model without any preference says A to everything, and its
accuracy is the share of A answers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from expunge.core.results import Record, Records
from expunge.scoring.per_row import no_rows, not_finite

WANTED = "hold no scores of options; the data give none (options, and which is right)"


@dataclass(frozen=True)
class Letters:
    """The letters chosen for n questions: ``chosen`` and ``right`` [n, turns] are places in the
    list as it was shown.
    """

    rows: list[Record]
    chosen: np.ndarray
    right: np.ndarray
    options: int


def reason_against(rows: list[Record], role: str, total: int) -> str | None:
    """Why there is nothing to count.

    Args:
        rows: The questions with options.
        role: Their role.
        total: How many rows the role has.

    Returns:
        The reason, or None.
    """
    if not rows:
        return f"{total} rows of role {role} {WANTED}" if total else no_rows(role)
    without = sum(r.options is None or r.right is None for r in rows)
    if without:
        return f"{without} of {len(rows)} rows of role {role} {WANTED}"
    return not_finite(np.concatenate([r.options for r in rows if r.options is not None]), role)


def letters_of(records: Records, role: str) -> Letters | str:
    """The letters chosen for the questions of a role, at every turn.

    Questions have the same number of options.

    Args:
        records: The records of a model.
        role: The role.

    Returns:
        The letters, or the reason why there are none.
    """
    first = records.of(role, "letters/0")
    reason = reason_against(first, role, len(records.of(role)))
    if reason:
        return reason
    sizes = {len(r.options) for r in first if r.options is not None}
    turns: dict[str, list[Record]] = {r.id: [] for r in first}
    for turn in range(max(sizes)):
        for r in records.of(role, f"letters/{turn}"):
            turns[r.id].append(r)
    if len(sizes) > 1 or {len(t) for t in turns.values()} != sizes:
        return f"the questions of role {role} differ in their number of options"
    every = [r for t in turns.values() for r in t]
    reason = reason_against(every, role, 0)
    if reason:
        return reason
    n = sizes.pop()
    chosen = np.array([int(np.argmax(r.options)) for r in every if r.options is not None]).reshape(
        -1, n
    )
    return Letters(first, chosen, np.array([r.right for r in every]).reshape(-1, n), n)


def text_choices(records: Records, role: str, by: str) -> tuple[list[Record], np.ndarray] | str:
    """The option whose text is most likely, for the questions of a role.

    Args:
        records: The records of a model.
        role: The role.
        by: ``mean`` of the log-probability per token, or its ``sum``.

    Returns:
        The rows and the index of the option of each, [n]; or the reason why not.
    """
    rows = records.of(role, "texts")
    reason = reason_against(rows, role, len(records.of(role)))
    if reason:
        return reason
    return rows, np.array([int(np.argmax(text_scores(r, by))) for r in rows])


def text_scores(r: Record, by: str) -> np.ndarray:
    """Log-probability of each option's text.

    Args:
        r: A row with options.
        by: ``mean`` per token, or the ``sum``.

    Returns:
        One value per option.
    """
    assert r.options is not None and r.option_tokens is not None
    if by == "mean":
        return r.options / np.maximum(1, r.option_tokens)
    return r.options
