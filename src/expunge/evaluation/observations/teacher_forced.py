"""The teacher-forced pass: one forward over the answers and the other texts of a row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np

from expunge.core.data import Examples, Row
from expunge.core.progress import Tick
from expunge.evaluation.observations.base import (
    Cost,
    Inputs,
    Observation,
    Read,
    References,
    RowKey,
)
from expunge.evaluation.observations.token_values import blank, keep_tokens
from expunge.models.base import Model
from expunge.models.causal_lm.model import Subject


@dataclass(frozen=True)
class TeacherForced(Observation):
    """The texts of a row that ``scored`` names, of answers with the ``moments`` of the vocabulary's
    log-probabilities if they are wanted.

    The rows of all roles and observations go through the model together, so that ``run`` has
    nothing left to do.
    """

    scored: tuple[str, ...] = ("answer",)
    moments: bool = False

    name: ClassVar = "teacher_forced"
    title: ClassVar = "one forward over the answers"
    order: ClassVar = 0
    of_answers: ClassVar = False
    of_references: ClassVar = True

    def rows(self, model: Subject, inputs: Inputs, references: References) -> list[Row]:
        """The texts as rows; plain ones in pieces that the model can read."""
        examples = derived(inputs.roles, inputs.role, self.scored)
        most = model.room(inputs.examples, inputs.max_length)
        return model.encode(examples, max_length=most, variants=self.scored)

    def ticks(self, examples: Examples) -> int:
        """One for each row."""
        rows = 0
        for example in examples:
            for variant in self.scored:
                alike = sum(name.startswith(variant) for name in example.variants)
                if variant.endswith("/"):
                    rows += alike
                else:
                    rows += variant in ("answer", "lower") or alike > 0
        return rows

    def merge(self, other: Self) -> Self:
        """The texts of both, answers first."""
        both = dict.fromkeys((*self.scored, *other.scored))
        scored = tuple(sorted(both, key=_after_answers))
        return replace(self, scored=scored, moments=self.moments or other.moments)


def _after_answers(variant: str) -> bool:
    return variant != "answer"


def derived(roles: Mapping[str, Examples], role: str, variants: Sequence[str]) -> Examples:
    """The rows of a role with the variants that are made of them."""
    return lowered(roles[role]) if "lower" in variants else roles[role]


def lowered(examples: Examples) -> Examples:
    """The rows with a variant ``lower``: their answer or text in lower case, behind the same
    prompt.
    """
    found = []
    for example in examples:
        text = example.answer if example.text is None else example.text
        found.append(replace(example, variants={**example.variants, "lower": text.lower()}))
    return tuple(found)


def score(
    subject: Model, rows: Sequence[Row], *, moments: Callable[[Row], bool], tick: Tick, cost: Cost
) -> dict[RowKey, Read]:
    """What the pass reads of every row, by (role, id, variant). Batches are bounded in tokens."""
    found = blank(rows, moments)
    with subject.evaluating():
        for batch in subject.scored(rows):
            keep_tokens(found, batch.rows, batch.logits, batch.labels, moments)
            cost.rows += len(batch.rows)
            cost.tokens += batch.tokens
            tick(len(batch.rows))
    return found


def log_probabilities(
    model: Model, rows: Sequence[Row], tick: Tick = lambda n: None
) -> list[np.ndarray]:
    """Of each row the log-probabilities of its scored tokens: [T], nats; nothing else is kept."""
    found = score(model, rows, moments=_without, tick=tick, cost=Cost())
    return [found[row.role, row.id, row.variant].logp for row in rows]


def _without(row: Row) -> bool:
    return False
