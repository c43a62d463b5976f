"""Generation: the greedy answer to every prompt, begun where the teacher-forced pass first misses.

As long as the teacher-forced token is the arg-max, greedy decoding gives that very token.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import numpy as np

from expunge.core.data import Example, Examples, Row
from expunge.core.progress import Tick
from expunge.core.results import Record
from expunge.data.columns import AFTER
from expunge.evaluation.observations.base import (
    Cost,
    Inputs,
    Observation,
    Observed,
    Read,
    References,
)
from expunge.evaluation.observations.plain_text import (
    begun_rows,
    read_behind,
    record_of,
    texts_among,
)
from expunge.models.causal_lm.model import Subject
from expunge.scoring.per_row import beyond
from expunge.scoring.prefixes import SHARES
from expunge.scoring.prefixes import VARIANT as BEGUN
from expunge.scoring.text import repeated_tokens


@dataclass(frozen=True)
class Generation(Observation):
    """The greedy answers; of plain texts, what the model says to their beginnings."""

    name: ClassVar = "generation"
    title: ClassVar = "generated answers"
    variants: ClassVar = (BEGUN,)
    needs: ClassVar = frozenset({"score", "generate"})
    reads_scores: ClassVar = True
    of_references: ClassVar = True

    def run(self, model: Subject, inputs: Inputs, references: References) -> Observed:
        """The answers to the prompts of one role."""
        return self.run_roles(model, [(self, inputs)], references)[0]

    @classmethod
    def run_roles(
        cls, model: Subject, asked: Sequence[tuple[Self, Inputs]], references: References
    ) -> list[Observed]:
        """The prompts of all roles share batches, and so do the beginnings of texts."""
        cost = Cost()
        roles = [inputs for _, inputs in asked]
        questions = _questions(model, roles, cost)
        begun = _begun_texts(model, roles, cost)
        _count_repeated(model, [*questions, *begun])
        found = [_observed(model, inputs, questions, begun) for inputs in roles]
        return [replace(found[0], cost=cost), *found[1:]] if found else []

    def ticks(self, examples: Examples) -> int:
        """One for each prompt; a plain text is begun at several places."""
        return sum(1 if example.text is None else len(SHARES) for example in examples)


@dataclass
class _Said:
    """What a model said to one prompt: ``ids``, ``text`` and the other ``fields`` of its record;
    ``whole`` is the text that was begun.
    """

    row: Row
    limit: int
    ids: list[int]
    text: str
    whole: Row | None = None
    fields: dict[str, Any] = field(default_factory=dict)


def _questions(model: Subject, roles: Sequence[Inputs], cost: Cost) -> list[_Said]:
    """The answers to the rows that are no plain texts."""
    asked: list[Row] = []
    reads: list[Read] = []
    limits: list[int] = []
    ends: dict[tuple[str, str], str] = {}
    for inputs in roles:
        texts = texts_among(inputs.answers, {inputs.role: inputs.examples})
        rows = [row for row in inputs.answers if (row.role, row.id) not in texts]
        asked += rows
        reads += [inputs.reads[row.role, row.id, row.variant] for row in rows]
        limits += [inputs.max_new_tokens] * len(rows)
        ends |= _ends(inputs)
    cut = {inputs.role for inputs in roles if inputs.cut}
    found: list[_Said] = []
    written = write(model, asked, reads, limits, roles[0].tick, cost)
    for row, limit, ids in zip(asked, limits, written, strict=True):
        text = spoken(model, ids, ends.get((row.role, row.id), ""))
        unfinished = not (ids and ids[-1] in model.eos_ids)
        said = _Said(row, limit, ids, text)
        said.fields = {"generated": text, "unfinished": unfinished}
        if row.role in cut:
            said.fields["answer"] = model.shortened(row.text, limit)
        cost.limited += unfinished
        found.append(said)
    cost.written += len(found)
    return found


def _ends(inputs: Inputs) -> dict[tuple[str, str], str]:
    """(role, id) of every question -> the words behind which its answer begins."""
    asked = [example for example in inputs.examples if example.prompt is not None]
    return {(inputs.role, example.id): end_of_thinking(example) for example in asked}


def _begun_texts(model: Subject, roles: Sequence[Inputs], cost: Cost) -> list[_Said]:
    """What the model says to the beginnings of plain texts, at most as many tokens as the text has
    left.
    """
    pairs: list[tuple[Row, Row]] = []
    reads: list[Read] = []
    limits: list[int] = []
    for inputs in roles:
        texts = texts_among(inputs.answers, {inputs.role: inputs.examples})
        rows = [row for row in inputs.answers if (row.role, row.id) in texts]
        for whole, row in begun_rows(rows):
            pairs.append((whole, row))
            reads.append(read_behind(inputs.reads[whole.role, whole.id, whole.variant], row))
            limits.append(min(inputs.max_new_tokens, len(row.answer_ids)))
    written = write(model, [row for _, row in pairs], reads, limits, roles[0].tick, cost)
    found: list[_Said] = []
    for (whole, row), limit, ids in zip(pairs, limits, written, strict=True):
        found.append(_Said(row, limit, ids, spoken(model, ids), whole))
    return found


def _count_repeated(model: Subject, said: Sequence[_Said]) -> None:
    """Note of every text its repeated tokens, as the model's own tokenizer reads it."""
    texts = list(dict.fromkeys(one.text.strip() for one in said))
    ids = model.ids_with_controls(texts)
    repeated = {text: repeated_tokens(own) for text, own in zip(texts, ids, strict=True)}
    for one in said:
        one.fields["given"] = repeated[one.text.strip()]


def _observed(
    model: Subject, inputs: Inputs, questions: Sequence[_Said], begun: Sequence[_Said]
) -> Observed:
    """What was said to the prompts of one role."""
    own = {said.row.id: said for said in questions if said.row.role == inputs.role}
    none: Mapping[str, Any] = {}
    answers = [own[row.id].fields if row.id in own else none for row in inputs.answers]
    records: list[Record] = []
    for said in begun:
        if said.row.role == inputs.role and said.whole is not None:
            made = record_of(model, said.row, said.whole, said.limit, said.text)
            records.append(replace(made, given=said.fields["given"]))
    ids = {(inputs.role, id): said.ids for id, said in own.items()}
    return Observed(answers=answers, records=records, ids=ids)


def end_of_thinking(example: Example) -> str:
    """The words behind which the example's answer begins, "" if its tags name none."""
    return next((t.removeprefix(AFTER) for t in example.tags if t.startswith(AFTER)), "")


def spoken(subject: Subject, ids: list[int], end: str = "") -> str:
    """Generated tokens as text, without the end token; what is written behind the last ``end``, if
    that comes.
    """
    bare = ids[:-1] if ids and ids[-1] in subject.eos_ids else ids
    return beyond(subject.decode(bare), end)


def write(
    subject: Subject,
    rows: Sequence[Row],
    reads: Sequence[Read],
    most: Sequence[int],
    tick: Tick,
    cost: Cost,
) -> list[list[int]]:
    """The greedy answer to every row's prompt, ``most[i]`` token ids; what the hits of the
    teacher-forced pass decide is not generated again.
    """
    eos = set(subject.eos_ids)
    goes_on = "continue" in subject.capabilities
    known: list[list[int]] = []
    budgets = []
    for row, read, room in zip(rows, reads, most, strict=True):
        assert read.hit is not None and read.top is not None
        ids = row.answer_ids
        miss = int(np.argmin(read.hit)) if not read.hit.all() else len(ids)
        sure = [*ids[:miss], *([int(read.top[miss])] if miss < len(ids) else [])][:room]
        if not goes_on:
            sure = []
        ended = bool(sure) and sure[-1] in eos
        known.append(sure)
        budgets.append(0 if ended else room - len(sure))
    prefixes = [[*row.ids[: row.n_prompt], *sure] for row, sure in zip(rows, known, strict=True)]
    rest = subject.generate(prefixes, budgets, ends=sorted(eos), tick=tick)
    tick(sum(b == 0 for b in budgets))
    cost.spared += sum(map(len, known))
    cost.generated += sum(map(len, rest))
    return [a + b for a, b in zip(known, rest, strict=True)]
