"""Entity patching: what the original loses of an answer's entities as its hidden states are
replaced by this model's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from expunge.core.data import Example, Row
from expunge.evaluation.observations.activation_patching import depth
from expunge.evaluation.observations.base import Field, Inputs, Observation, Observed, References
from expunge.models.causal_lm.model import Subject
from expunge.scoring.text import entities_of


@dataclass(frozen=True)
class EntityPatching(Observation):
    """Every block of this model patched into the original at the entities of the answers, one block
    at a time.
    """

    name: ClassVar = "entity_patching"
    title: ClassVar = "hidden states at the answers' entities, patched into the original model"
    unit: ClassVar = "rows of the original patched at entities"
    fields: ClassVar = {"entity_depth": Field()}
    needs: ClassVar = frozenset({"score", "hidden"})
    beside: ClassVar = ("original",)
    of_references: ClassVar = True

    def run(self, model: Subject, inputs: Inputs, references: References) -> Observed:
        """``entity_depth`` [blocks] of each row, nats a token, see ``depth``; empty where a row has
        no entity.
        """
        assert references.original is not None
        marked = entity_rows(model, inputs.examples, inputs.max_length)
        asked = [marked[row.id] for row in inputs.answers if row.id in marked]
        lost = depth(model, references.original, asked, inputs.tick) if asked else []
        inputs.tick(len(inputs.answers) - len(asked))
        found = {row.id: values for row, values in zip(asked, lost, strict=True)}
        none = np.empty(0, dtype=np.float32)
        return Observed(
            {"entity_depth": [found.get(row.id, none) for row in inputs.answers]},
            made=sum(map(len, lost)),
        )


def entity_rows(model: Subject, examples: Iterable[Example], max_length: int) -> dict[str, Row]:
    """By id the rows that have an entity, with nothing scored but its tokens."""
    marked = [
        example if example.spans else replace(example, spans=entity_spans(example))
        for example in examples
    ]
    found: dict[str, Row] = {}
    for row in model.encode(marked, max_length=max_length):
        scored = tuple(
            yes and weight > 0 for yes, weight in zip(row.scored, row.weights, strict=False)
        )
        if any(scored):
            found[row.id] = replace(row, scored=scored, eos=False)
    return found


def entity_spans(example: Example) -> tuple[tuple[int, int], ...]:
    """Where the names and numbers of an answer (or text) stand that its question does not say;
    characters.
    """
    text = example.answer if example.text is None else example.text
    found: set[tuple[int, int]] = set()
    for name in entities_of(text, example.prompt or ""):
        found |= {
            m.span() for m in re.finditer(rf"(?<!\w){re.escape(name)}(?!\w)", text, re.IGNORECASE)
        }
    return tuple(sorted(found))
