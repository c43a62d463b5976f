"""What things are called in a report: a language model is asked questions, an image classifier is
shown pictures.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from expunge.core.results import EMPTY
from expunge.data.kinds import PICTURES


@dataclass(frozen=True)
class Words:
    """Words for one kind of rows.

    Attributes:
        asked: What the model is given, in the plural.
        right: What it should say.
        rights: The plural of it.
        groups: Examples of what rows may have in common.
        meanings: Metric -> one line on what it measures, where that is not its own first line.
    """

    asked: str
    right: str
    rights: str
    groups: str
    meanings: Mapping[str, str] = field(default_factory=lambda: EMPTY)


TEXT = Words("questions", "right answer", "right answers", "authors, entities, documents")
IMAGE = Words(
    "pictures",
    "right class",
    "right classes",
    "pictures, or series of them",
    {"probability": "Probability of the right class."},
)


def words_of(runs: Iterable[Mapping[str, Any]]) -> Words:
    """The words for the rows of some runs; those for texts unless every row was a picture.

    Args:
        runs: What run.yaml holds; ``data`` in it says of which kind the rows of each role are.
    """
    kinds: set[Any] = set()
    for run in runs:
        data = run.get("data")
        roles = data.values() if isinstance(data, Mapping) else ()
        kinds |= {str(role.get("kind")) for role in roles if isinstance(role, Mapping)}
    return IMAGE if kinds == {PICTURES} else TEXT
