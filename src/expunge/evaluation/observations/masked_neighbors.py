"""Rows whose answer or text has a word replaced by what a masked language model finds fitting:
variants ``neighbour/0`` ..., scored with all others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, ClassVar

from expunge.core.data import Example, Examples, Row
from expunge.core.progress import Tick
from expunge.data.columns import OPEN
from expunge.data.kinds import tokens_of
from expunge.evaluation.observations.base import Inputs, Observation, References
from expunge.evaluation.observations.masked_language_model import TEXTS, Neighbors
from expunge.models.causal_lm.model import Subject

VARIANT = "neighbour/"


@dataclass(frozen=True)
class MaskedNeighbors(Observation):
    """Neighbors of each row: ``words`` of its words replaced, a share ``dropout`` of a word's
    embedding hidden.
    """

    neighbors: int = 25
    words: int = 1
    dropout: float = 0.7
    seed: int = 0

    name: ClassVar = "masked_neighbors"
    title: ClassVar = "the same with words replaced by a masked language model"
    unit: ClassVar = "rows with words replaced"
    variants: ClassVar = (VARIANT,)
    beside: ClassVar = ("masked_model",)
    of_references: ClassVar = True

    def rows(self, model: Subject, inputs: Inputs, references: References) -> list[Row]:
        """The neighbors, which the teacher-forced pass scores."""
        how = Neighbors(self.neighbors, self.words, self.dropout, self.seed)
        return neighbor_rows(
            model, references.masked_model, inputs.examples, how, inputs.max_length, inputs.tick
        )

    def ticks(self, examples: Examples) -> int:
        """One for each row and for each of its neighbors."""
        return len(examples) * (1 + self.neighbors)


def neighbor_rows(
    subject: Subject,
    masked_model: Any,
    examples: Examples,
    how: Neighbors,
    max_length: int,
    tick: Tick = lambda n: None,
) -> list[Row]:
    """The neighbors of the rows of a role, behind the same prompts; none of rows that are given as
    tokens.

    Of a text in chunks each chunk has its own. A neighbor that no longer fits in ``max_length``,
    or falls into another number of chunks, is left out. Ticks: one a row, and one for each
    neighbor that is not made; scoring gives the others.
    """
    rows: list[Row] = []
    fitting = [e for e in examples if not tokens_of(e) and OPEN not in e.tags]
    for first in range(0, len(fitting), TEXTS):
        some = fitting[first : first + TEXTS]
        pieces = [_pieces(subject, e, max_length) for e in some]
        written = iter(
            masked_model.of(
                [(_before(e), p) for e, own in zip(some, pieces, strict=True) for p in own],
                how,
                subject.device,
            )
        )
        for e, own in zip(some, pieces, strict=True):
            rows += _rows(subject, e, own, [next(written) for _ in own], max_length)
        tick(len(some))
    tick(len(examples) - len(fitting) + max(0, len(examples) * how.n - len(rows)))
    return rows


def _pieces(subject: Subject, example: Example, max_length: int) -> list[str]:
    """The answer, or the text in the chunks that are scored."""
    if example.text is None:
        return [example.answer]
    return [r.text for r in subject.encode([example], max_length=max_length)]


def _before(example: Example) -> str:
    """What the masked model reads before the answer: the question."""
    return example.prompt or (example.messages[-1]["content"] if example.messages else "")


def _rows(
    subject: Subject,
    example: Example,
    pieces: Sequence[str],
    written: Sequence[Sequence[str]],
    max_length: int,
) -> Iterator[Row]:
    whole = lambda k, new: "".join((*pieces[:k], new, *pieces[k + 1 :]))
    variants = {
        f"{VARIANT}{k}/{i}": whole(k, new)
        for k, some in enumerate(written)
        for i, new in enumerate(some)
    }
    # an answer that grew too long is passed over here, not refused there
    longest = max_length if example.text is not None else 1 << 30
    found = subject.encode(
        [replace(example, variants=variants)],
        max_length=longest,
        variants=(VARIANT,),
    )
    for variant, group in groupby(found, key=lambda r: r.variant):
        k, i = (int(x) for x in variant.removeprefix(VARIANT).split("/"))
        rows = list(group)
        if len(rows) == len(pieces) and len(rows[k]) <= max_length:
            yield replace(rows[k], variant=f"{VARIANT}{i}")
