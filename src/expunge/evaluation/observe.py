"""Observe a model once for all metrics: rows are planned, scored and continued in shared passes,
then the observations run.

Every metric reads the records that come out of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from expunge.core.data import Example, Examples, Row
from expunge.core.errors import Refused, listed
from expunge.core.progress import Tick
from expunge.core.results import Record, Records
from expunge.data.options import with_options
from expunge.evaluation.observations.base import (
    Cost,
    Inputs,
    Observation,
    Read,
    References,
    RowKey,
    Want,
)
from expunge.evaluation.observations.few_shot_prefix import derived
from expunge.evaluation.observations.generation import write
from expunge.evaluation.observations.multiple_choice import chosen
from expunge.evaluation.observations.plain_text import (
    begun,
    begun_rows,
    given_of,
    read_behind,
    record_of,
    texts_among,
)
from expunge.evaluation.observations.teacher_forced import score
from expunge.evaluation.records import (
    counted,
    end_of_thinking,
    other_answers,
    record,
    shortened,
    spoken,
)
from expunge.models.causal_lm.model import Subject
from expunge.scoring.prefixes import REPORTED, SHARES, VARIANT

Key = tuple[str, str]  # (role, id)


@dataclass(frozen=True)
class Measured:
    """Records of one subject, the token ids that belong in OUT/private, and what it cost."""

    records: Records
    ids: Mapping[Key, Mapping[str, list[int]]]
    cost: Cost


def measure(
    subject: Subject,
    roles: Mapping[str, Examples],
    wants: Mapping[str, Want],
    *,
    references: References = References(),
    name: str = "model",
    max_new_tokens: int = 200,
    max_length: int = 512,
    tick: Tick = lambda n: None,
) -> Measured:
    """Observe a model on the evaluation roles: each pass is made once, whatever the number of
    metrics.

    Memory is bounded by the batch.

    Args:
        subject: The model.
        roles: The rows of each role.
        wants: What each role is asked.
        references: The models beside it, which some observations read.
        name: What the records call it.
        max_new_tokens: How many tokens are generated at most, where a role has no limit of its own.
        max_length: How many tokens a row may have.
        tick: Is told of every n rows done, see ``work``.

    Returns:
        The records, the generated token ids and the cost.

    Raises:
        Refused: A pass needs what the model cannot do, or a row does not fit.
    """
    check_capabilities(subject, wants)
    return _Pass(
        subject, roles, wants, references, name, max_new_tokens, max_length, tick
    ).measured()


def check_capabilities(subject: Subject, wants: Mapping[str, Want]) -> None:
    """Refuse a pass that needs what the model cannot do."""
    for want in wants.values():
        texts = want.options or any(variant != "answer" for variant in want.variants)
        if want.write and "generate" not in subject.capabilities:
            raise Refused(
                f"{subject.source or 'this model'} writes no answers; leave out the metrics that "
                f"read what a model writes (--metrics)"
            )
        if texts and "text" not in subject.capabilities:
            raise Refused(
                f"{subject.source or 'this model'} reads no texts; leave out the metrics that ask "
                f"in other words or for options (--metrics)"
            )
        for observation in want.observations:
            lacking = sorted(observation.needs - subject.capabilities)
            if lacking:
                raise Refused(
                    f"{observation.name} needs a model with {listed(lacking)}, which "
                    f"{subject.source or 'this one'} lacks; "
                    "leave out the metrics that read it"
                )


@dataclass
class _Pass:
    """One measurement on its way: what was asked, and what has been found so far."""

    subject: Subject
    roles: Mapping[str, Examples]
    wants: Mapping[str, Want]
    references: References
    name: str
    max_new_tokens: int
    max_length: int
    tick: Tick
    cost: Cost = field(default_factory=Cost)
    reads: dict[RowKey, Read] = field(default_factory=dict)
    known: dict[Key, dict[str, Any]] = field(default_factory=dict)  # fields of the answers' records
    # Record.observed of the answers
    observed: dict[Key, dict[str, Any]] = field(default_factory=dict)

    def measured(self) -> Measured:
        """Every pass in its order, then the records."""
        rows = self._shared_rows()
        answers = self._answers(rows)
        for role, observation in self._observations():
            inputs = self._inputs(role, answers)
            able = observation.can_run(inputs, self.references)
            own = observation.rows(self.subject, inputs, self.references) if able else []
            rows += own
            if own:
                self.cost.add(observation.unit, len(own))
        self.subject.check_rows(rows)
        self.reads = score(
            self.subject, rows, moments=self._has_moments, tick=self.tick, cost=self.cost
        )
        raw = texts_among(rows, self.roles)
        asked = [
            r
            for r in rows
            if r.variant == "answer" and self.wants[r.role].write and (r.role, r.id) not in raw
        ]
        written = self._write(asked)
        begun_texts = self._begun_texts(
            [r for r in rows if r.variant == "answer" and (r.role, r.id) in raw]
        )
        own_rows = self._observe(answers)
        self._know_questions(raw, rows)
        shown = [r for r in [*rows, *own_rows] if not r.variant.startswith(("letters/", "texts/"))]
        records = self._records(shown, written, asked)
        records += self._unscored_records(answers)
        records += begun_texts
        records += self._option_records()
        ids = {key: {"generated": tokens} for key, tokens in written.items()}
        return Measured(Records(counted(self.subject, records)), ids, self.cost)

    def _shared_rows(self) -> list[Row]:
        """What the teacher-forced pass scores: the wanted variants of every role, then the options
        of its questions.
        """
        rows: list[Row] = []
        for role, want in self.wants.items():
            most = self.subject.room(self.roles[role], self.max_length)
            examples = derived(self.roles, role, want.scored)
            rows += self.subject.encode(examples, max_length=most, variants=want.scored)
        for role, want in self.wants.items():
            if want.options:
                asked = with_options(self.roles[role])
                letters = want.options == "all"
                rows += self.subject.encode_options(
                    asked, letters=letters, max_length=self.max_length
                )
        return rows

    def _answers(self, rows: Sequence[Row]) -> dict[str, list[Row]]:
        """The answers of every role that is observed; they need not be scored."""
        found: dict[str, list[Row]] = {}
        for role, want in self.wants.items():
            if want.observations and "answer" in want.scored:
                found[role] = [r for r in rows if r.role == role and r.variant == "answer"]
            elif want.observations:
                found[role] = self.subject.encode(self.roles[role], max_length=self.max_length)
        return found

    def _observations(self) -> list[tuple[str, Observation]]:
        """(role, observation) of what is asked, role by role."""
        found: list[tuple[str, Observation]] = []
        for role, want in self.wants.items():
            found += [(role, observation) for observation in want.observations]
        return found

    def _inputs(self, role: str, answers: Mapping[str, list[Row]]) -> Inputs:
        own = answers[role]
        raw = texts_among(own, {role: self.roles[role]})
        # a text has no prompt: its beginning is one
        prompts = [begun(r, REPORTED) or r if (r.role, r.id) in raw else r for r in own]
        limit = self.wants[role].tokens or self.max_new_tokens
        return Inputs(role, own, prompts, self.roles, self.reads, limit, self.max_length, self.tick)

    def _has_moments(self, row: Row) -> bool:
        return self.wants[row.role].moments and row.variant == "answer"

    def _limits(self, rows: Sequence[Row]) -> list[int]:
        """How many tokens each row may generate."""
        return [self.wants[r.role].tokens or self.max_new_tokens for r in rows]

    def _write(self, asked: Sequence[Row]) -> dict[Key, list[int]]:
        """The greedy answer to every prompt, as token ids."""
        reads = [self.reads[_key(r)] for r in asked]
        written = write(self.subject, asked, reads, self._limits(asked), self.tick, self.cost)
        texts = {(r.role, r.id): ids for r, ids in zip(asked, written, strict=True)}
        for key, ids in texts.items():
            unfinished = not (ids and ids[-1] in self.subject.eos_ids)
            self.known.setdefault(key, {})["unfinished"] = unfinished
            self.cost.limited += unfinished
        self.cost.written = len(texts)
        return texts

    def _begun_texts(self, rows: Sequence[Row]) -> list[Record]:
        """What the model says to the beginnings of plain texts, at most as many tokens as the text
        has left.
        """
        pairs = [(whole, row) for whole, row in begun_rows(rows) if self.wants[row.role].write]
        limits = self._limits([row for _, row in pairs])
        most = [min(n, len(row.answer_ids)) for n, (_, row) in zip(limits, pairs, strict=True)]
        behind = [read_behind(self.reads[_key(whole)], row) for whole, row in pairs]
        said = write(self.subject, [row for _, row in pairs], behind, most, self.tick, self.cost)
        found: list[Record] = []
        for (whole, row), n, ids in zip(pairs, most, said, strict=True):
            found.append(
                record_of(self.name, self.subject, row, whole, n, spoken(self.subject, ids))
            )
        return found + self._held_against([r for r in rows if not self.wants[r.role].write])

    def _held_against(self, rows: Sequence[Row]) -> list[Record]:
        """What stood behind the beginnings of texts that are sampled and not written."""
        found: list[Record] = []
        drawn = [r for r in rows if any(o.from_prompts for o in self.wants[r.role].observations)]
        for whole, row in begun_rows(drawn):
            if row.variant == VARIANT + REPORTED:
                limit = self.wants[row.role].tokens or self.max_new_tokens
                found.append(record_of(self.name, self.subject, row, whole, limit, None))
        return found

    def _observe(self, answers: Mapping[str, list[Row]]) -> list[Row]:
        """Run the observations; the rows of their own that they scored."""
        own_rows: list[Row] = []
        for role, observation in self._observations():
            inputs = self._inputs(role, answers)
            if not inputs.answers or not observation.can_run(inputs, self.references):
                continue
            found = observation.run(self.subject, inputs, self.references)
            for name, values in found.fields.items():
                self._keep(inputs.answers, name, values)
            for row, read in found.scored:
                own_rows.append(row)
                self.reads[_key(row)] = read
            if found.made or found.fields or found.scored:
                self.cost.add(observation.unit, found.made)
        return own_rows

    def _keep(self, rows: Sequence[Row], name: str, values: Sequence[Any]) -> None:
        for row, value in zip(rows, values, strict=True):
            if value is not None:
                self.observed.setdefault((row.role, row.id), {})[name] = value

    def _know_questions(self, raw: set[Key], rows: Sequence[Row]) -> None:
        """The prompt and the other right answers of every question; how much of a plain text is
        given.
        """
        for role in self.wants:
            for example in self.roles[role]:
                if example.prompt is not None:
                    own = self.known.setdefault((role, example.id), {})
                    own |= {"question": example.prompt, "also": other_answers(example)}
        for row in rows:
            if row.variant == "answer" and (row.role, row.id) in raw:
                self.known.setdefault((row.role, row.id), {})["prefix"] = given_of(row)
        for key, found in self.observed.items():
            self.known.setdefault(key, {})["observed"] = found

    def _records(
        self, rows: Sequence[Row], written: Mapping[Key, list[int]], asked: Sequence[Row]
    ) -> list[Record]:
        """The records of scored rows, with what was written to their prompts."""
        ends = {
            (role, e.id): end_of_thinking(e)
            for role in self.wants
            for e in self.roles[role]
            if e.prompt is not None
        }
        decoded = {
            key: spoken(self.subject, ids, ends.get(key, "")) for key, ids in written.items()
        }
        short: dict[Key, str] = {}
        for row, n in zip(asked, self._limits(asked), strict=True):
            if self.wants[row.role].cut:
                short[row.role, row.id] = shortened(self.subject, row, n)
        return [record(self.name, r, self.reads[_key(r)], decoded, short, self.known) for r in rows]

    def _unscored_records(self, answers: Mapping[str, list[Row]]) -> list[Record]:
        """Of answers that were observed and not scored: what was observed."""
        found: list[Record] = []
        for rows in answers.values():
            for r in rows:
                observed = self.observed.get((r.role, r.id))
                if _key(r) not in self.reads and observed:
                    found.append(
                        Record(self.name, r.role, r.id, r.group, r.variant, observed=observed)
                    )
        return found

    def _option_records(self) -> list[Record]:
        """What the model thinks of the options of every question."""
        logp: dict[Key, dict[str, np.ndarray]] = {}
        for (role, id, variant), read in self.reads.items():
            logp.setdefault((role, id), {})[variant] = read.logp
        found: list[Record] = []
        for role, want in self.wants.items():
            asked: Sequence[Example] = with_options(self.roles[role]) if want.options else ()
            for example in asked:
                found += chosen(
                    self.name, example, logp[role, example.id].__getitem__, want.options == "all"
                )
        return found


def _key(row: Row) -> RowKey:
    return (row.role, row.id, row.variant)


def work(roles: Mapping[str, Examples], wants: Mapping[str, Want]) -> int:
    """How many ticks ``measure`` will give: rows to score, prompts to answer, rows to observe."""
    total = 0
    for role, want in wants.items():
        total += sum(observation.ticks(len(roles[role])) for observation in want.observations)
        total += sum(_work_of(example, want) for example in roles[role])
    return total


def _work_of(example: Example, want: Want) -> int:
    """The ticks of the shared passes for one example."""
    rows = 0
    for variant in want.scored:
        alike = sum(name.startswith(variant) for name in example.variants)
        if variant.endswith("/"):
            rows += alike
        else:
            rows += variant in ("answer", "lower") or alike > 0
    texts = want.write * (1 if example.text is None else len(SHARES))
    options = len(example.options)
    per_option = {"": 0, "texts": 1, "all": 1 + options}
    return rows + texts + options * per_option[want.options]
