"""Choice states: the hidden state at the end of the right and of every wrong answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from expunge.core.data import Examples, Row
from expunge.core.progress import Tick
from expunge.evaluation.observations.base import Field, Inputs, Observation, Observed, References
from expunge.evaluation.observations.hidden_states import answer_end, states
from expunge.models.causal_lm.model import Subject


@dataclass(frozen=True)
class ChoiceStates(Observation):
    """The state of the block ``layer`` at the end of the right and of every wrong answer."""

    layer: float = 0.5

    name: ClassVar = "choice_states"
    title: ClassVar = "hidden states of right and wrong answers"
    unit: ClassVar = "answers for hidden states"
    fields: ClassVar = {"choice_states": Field(in_runs=False)}
    needs: ClassVar = frozenset({"hidden"})

    def run(self, model: Subject, inputs: Inputs, references: References) -> Observed:
        """``choice_states`` [answers * D] of each row with wrong answers."""
        ends, made = choice_states(
            model, inputs.answers, inputs.examples, self.layer, inputs.max_length, inputs.tick
        )
        return Observed({"choice_states": ends}, made=made)


def choice_states(
    subject: Subject,
    rows: Sequence[Row],
    examples: Examples,
    layer: float,
    max_length: int,
    tick: Tick = lambda n: None,
) -> tuple[list[np.ndarray | None], int]:
    """Of each answer the states at its last token and at that of every wrong answer: [answers * D],
    None where there is no wrong one.

    Also how many answers were read.
    """
    wrong = subject.encode(examples, variants=("perturbed/",), max_length=max_length)
    beside: dict[str, list[Row]] = {}
    for r in wrong:
        beside.setdefault(r.id, []).append(r)
    asked = [a for r in rows if r.id in beside for a in (r, *beside[r.id])]
    ends = iter(states(subject, asked, (layer,), answer_end, own=True) if asked else [])
    tick(len(rows))
    return [
        np.concatenate([next(ends) for _ in (r, *beside[r.id])]) if r.id in beside else None
        for r in rows
    ], len(asked)
