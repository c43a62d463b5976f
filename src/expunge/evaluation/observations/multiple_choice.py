"""Multiple choice: what a model thinks of the options of a question, as records."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np

from expunge.core.data import Example, Examples, Row
from expunge.core.results import Record
from expunge.data.options import right_of, shown, with_options
from expunge.evaluation.observations.base import Inputs, Observation, Observed, References
from expunge.models.causal_lm.model import Subject


@dataclass(frozen=True)
class MultipleChoice(Observation):
    """The options of every question by their texts and, with ``letters``, by their letters at every
    turn of the list.
    """

    letters: bool = True

    name: ClassVar = "multiple_choice"
    title: ClassVar = "the options of the questions, by letter and by text"
    variants: ClassVar = ("letters/", "texts")
    order: ClassVar = 1
    of_answers: ClassVar = False
    of_references: ClassVar = True
    own_records: ClassVar = True

    def rows(self, model: Subject, inputs: Inputs, references: References) -> list[Row]:
        """A row for every option's text, and for its letter at every turn."""
        asked = with_options(inputs.examples)
        return model.encode_options(asked, letters=self.letters, max_length=inputs.max_length)

    def run(self, model: Subject, inputs: Inputs, references: References) -> Observed:
        """The records of every question with options, see ``chosen``."""
        logp: dict[str, dict[str, np.ndarray]] = {}
        for (role, id, variant), read in inputs.reads.items():
            if role == inputs.role:
                logp.setdefault(id, {})[variant] = read.logp
        found: list[Record] = []
        for example in with_options(inputs.examples):
            found += chosen(example, logp[example.id].__getitem__, self.letters)
        return Observed(records=found)

    def ticks(self, examples: Examples) -> int:
        """One for each row."""
        rows = 0
        for example in examples:
            options = len(example.options)
            rows += options * (1 + options if self.letters else 1)
        return rows

    def merge(self, other: Self) -> Self:
        """Letters if either wants them."""
        return replace(self, letters=self.letters or other.letters)


def chosen(e: Example, logp: Callable[[str], np.ndarray], letters: bool) -> list[Record]:
    """The records of a question with options: the letters at every turn if they are asked for, and
    the texts.

    ``logp(variant)``: the log-probabilities of the tokens of ``letters/TURN/PLACE`` or
    ``texts/OPTION``, nats.
    """
    n, right = len(e.options), right_of(e)
    known: dict[str, Any] = {"subject": "", "role": e.role, "id": e.id, "group": e.group}
    found = []
    for turn in range(n if letters else 0):
        said = np.array([_total(logp(f"letters/{turn}/{i}")) for i in range(n)])
        place = shown(e.options, turn).index(right)
        found.append(Record(**known, variant=f"letters/{turn}", options=said, right=place))
    sums = np.array([_total(logp(f"texts/{i}")) for i in range(n)])
    tokens = np.array([len(logp(f"texts/{i}")) for i in range(n)])
    texts = Record(**known, variant="texts", options=sums, option_tokens=tokens, right=right)
    return [*found, texts]


def _total(logp: np.ndarray) -> float:
    return float(np.sum(logp, dtype=np.float64))
