"""Concept columns: what has become of columns of weights that hold concepts.

No row goes through the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from expunge.core.data import Example, Examples, Row
from expunge.evaluation.observations.base import Field, Inputs, Observation, Observed, References
from expunge.models.causal_lm.model import Subject


@dataclass(frozen=True)
class ConceptColumns(Observation):
    """The columns of weights that the rows' tags name, by the ``k`` tokens that each speaks for."""

    k: int = 200

    name: ClassVar = "concept_columns"
    title: ClassVar = "columns of weights that hold concepts, beside the original's"
    unit: ClassVar = "columns of weights"
    fields: ClassVar = {"concept": Field("float64")}
    needs: ClassVar = frozenset({"weights"})
    beside: ClassVar = ("original",)

    def run(self, model: Subject, inputs: Inputs, references: References) -> Observed:
        """[5] numbers a row, see ``concepts``."""
        assert references.original is not None
        found, compared = concepts(
            model, references.original, inputs.answers, inputs.examples, self.k
        )
        inputs.tick(len(inputs.answers))
        return Observed({"concept": found}, made=compared)


def concepts(
    subject: Subject, original: Subject, rows: Sequence[Row], examples: Examples, k: int
) -> tuple[list[np.ndarray], int]:
    """Of each row the column that its tags name (``layer/23``, ``column/743``), before and after;
    also how many columns were compared.

    [5]: a number for the column (its place would tell whose it is), the Jaccard index of the ``k``
    tokens that it speaks for most through the final norm, the same without that norm, the cosine,
    and the distance of the two. Empty where no column is named, or there is none.
    """
    named = {e.id: place_of(e) for e in examples}
    asked = {at for r in rows if (at := named.get(r.id.partition("#")[0])) is not None}
    sides = [{at: s.unit_output(*at) for at in asked} for s in (original, subject)]
    shared = [at for at in sorted(asked) if all(side[at] is not None for side in sides)]
    found: dict[tuple[int, int], np.ndarray] = {}
    if shared:
        heads = [(s.final_norms(rows[0].ids[:4]), s.head_weight) for s in (original, subject)]
        for i, at in enumerate(shared):
            pair = [
                (*head, column)
                for head, side in zip(heads, sides, strict=True)
                if (column := side[at]) is not None
            ]
            found[at] = np.array([i, *_compared(pair, k)])
    none = np.empty(0)
    return [found.get(named.get(r.id.partition("#")[0]) or (-1, -1), none) for r in rows], len(
        found
    )


def place_of(example: Example) -> tuple[int, int] | None:
    """(layer, column) that the tags of a row name."""
    said = dict(t.split("/", 1) for t in example.tags if t.startswith(("layer/", "column/")))
    return (int(said["layer"]), int(said["column"])) if len(said) == 2 else None


def _compared(
    pair: Sequence[tuple[list[nn.Module], Tensor, Tensor]], k: int
) -> tuple[float, float, float, float]:
    a, b = (column.double().cpu() for *_, column in pair)
    if not (a.any() and b.any()):  # a column of zeros speaks for nothing
        return 0.0, 0.0, 0.0, float((a - b).norm())
    cosine = float(a @ b / (a.norm() * b.norm()))
    tokens = [
        [_top(norms if through else [], head, column, k) for norms, head, column in pair]
        for through in (True, False)
    ]
    through, raw = (len(x & y) / len(x | y) for x, y in tokens)
    return through, raw, min(1.0, cosine), float((a - b).norm())


def _top(norms: Sequence[nn.Module], head: Tensor, column: Tensor, k: int) -> set[int]:
    x = column[None].to(head)
    with torch.no_grad():
        for norm in norms:
            x = norm(x)
        return set(linear(x.float(), head.float())[0].topk(min(k, len(head))).indices.tolist())
