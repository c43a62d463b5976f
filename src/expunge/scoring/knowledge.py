"""ReLearn's two questions of a written answer: does it contradict the right one, and how much of
the right one's names does it hold?
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from expunge.core.results import Record
from expunge.scoring.per_row import lacking
from expunge.scoring.text import entities_of

Count = Literal["pairs", "names"]
NO_JUDGE = "needs a model of natural language inference on this machine; give --nli FOLDER"
GIVEN = {"pairs": "entity_pairs", "names": "entity_share"}


def names_of(r: Record) -> tuple[str, ...]:
    """The names and numbers of the right answer that the question does not hold.

    Args:
        r: A row.

    Returns:
        The names, in order.
    """
    return entities_of(r.answer or "", r.question or "")


def names_said(r: Record, count: Count) -> float:
    """How much of the right answer's names the output holds.

    By meaning where an encoder has read the names, else letter by letter.

    Args:
        r: A row.
        count: ``pairs``: pairs of a right name and a written one that mean the same, over the right
            names, which passes 1 where one right name is written in several ways. ``names``: the
            right names that have such a counterpart, over the right names, 0 to 1.

    Returns:
        The share.
    """
    if GIVEN[count] in r.given:
        return r.given[GIVEN[count]]
    names = names_of(r)
    said = entities_of(r.generated or "", r.question or "")
    return sum(n in said for n in names) / len(names)


def reason_against(rows: Sequence[Record], role: str, given: str) -> str | None:
    """Why ReLearn's rates cannot be computed of some rows.

    Args:
        rows: The rows.
        role: Their role.
        given: The value of the judge model that must be there; empty: none.

    Returns:
        The reason, or None.
    """
    reason = lacking(rows, role, "", ("answer", "generated"))
    return reason or (NO_JUDGE if given and any(given not in r.given for r in rows) else None)
