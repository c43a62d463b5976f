"""Observe a model once for all metrics: the rows of all observations are scored in one pass, then
each observation runs.

Every metric reads the records that come out of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

from expunge.core.data import Examples, Row
from expunge.core.errors import Refused, listed
from expunge.core.progress import Tick
from expunge.core.results import EMPTY, Record, Records
from expunge.evaluation.observations.base import (
    Cost,
    Inputs,
    Observation,
    Observed,
    Read,
    References,
    RowKey,
    Want,
    merged,
)
from expunge.evaluation.observations.generation import Generation
from expunge.evaluation.observations.multiple_choice import MultipleChoice
from expunge.evaluation.observations.plain_text import begun, given_of, texts_among
from expunge.evaluation.observations.teacher_forced import TeacherForced, score
from expunge.evaluation.records import other_answers, record
from expunge.models.causal_lm.model import Subject
from expunge.scoring.prefixes import REPORTED

Key = tuple[str, str]  # (role, id)
Asked = tuple[str, Observation]  # (role, what it is asked)


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
    whole = {role: planned(want) for role, want in wants.items()}
    check_capabilities(subject, whole)
    one = _Pass(subject, roles, whole, references, name, max_new_tokens, max_length, tick)
    return one.measured()


def planned(want: Want) -> Want:
    """What is asked, with the answers scored if an observation reads what is found of them."""
    if any(observation.reads_scores for observation in want.observations):
        return replace(want, observations=merged(want.observations, (TeacherForced(),)))
    return want


def work(roles: Mapping[str, Examples], wants: Mapping[str, Want]) -> int:
    """How many ticks ``measure`` will give: rows to score, prompts to answer, rows to observe."""
    total = 0
    for role, want in wants.items():
        for observation in planned(want).observations:
            total += observation.ticks(roles[role])
    return total


def check_capabilities(subject: Subject, wants: Mapping[str, Want]) -> None:
    """Refuse a pass that needs what the model cannot do."""
    for want in wants.values():
        asked = {observation.name: observation for observation in want.observations}
        forced = asked.get(TeacherForced.name)
        others = isinstance(forced, TeacherForced) and set(forced.scored) - {"answer"}
        texts = others or MultipleChoice.name in asked
        if Generation.name in asked and "generate" not in subject.capabilities:
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
    rows: list[Row] = field(default_factory=list)  # what is scored
    recorded: list[Row] = field(default_factory=list)  # rows that have a record each
    answers: dict[str, list[Row]] = field(default_factory=dict)
    reads: dict[RowKey, Read] = field(default_factory=dict)
    known: dict[Key, dict[str, Any]] = field(default_factory=dict)  # fields of the answers' records
    observed: dict[Key, dict[str, Any]] = field(default_factory=dict)  # Record.observed of them
    records: dict[RowKey, Record] = field(default_factory=dict)  # those that observations made
    ids: dict[Key, Mapping[str, list[int]]] = field(default_factory=dict)

    def measured(self) -> Measured:
        """The rows of all observations, what is read of them, then each observation by itself."""
        for role, observation in self._asked():
            self._plan(role, observation)
        self.subject.check_rows(self.rows)
        self.reads = score(
            self.subject, self.rows, moments=self._has_moments, tick=self.tick, cost=self.cost
        )
        for _, some in groupby(self._asked(), key=_name_of):
            self._run(list(some))
        for role in self.wants:
            scored = [r for r in self.rows if r.role == role and r.variant == "answer"]
            self._know(role, scored)
        records = [record(self.name, r, self.reads[_key(r)], self._of(r)) for r in self.recorded]
        records += self._unscored_records()
        records += self.records.values()
        return Measured(Records(records), self.ids, self.cost)

    def _asked(self) -> list[Asked]:
        """(role, observation) of all that is asked: those first whose rows come first, one
        observation after the other.
        """
        every: list[Asked] = []
        for role, want in self.wants.items():
            every += [(role, observation) for observation in want.observations]
        return sorted(every, key=_rank)

    def _plan(self, role: str, observation: Observation) -> None:
        """Collect the rows that an observation wants scored."""
        inputs = self._inputs(role, observation)
        if not observation.can_run(inputs, self.references):
            return
        rows = observation.rows(self.subject, inputs, self.references)
        self.rows += rows
        if not observation.own_records:
            self.recorded += rows
        if rows and observation.unit:
            self.cost.add(observation.unit, len(rows))

    def _inputs(self, role: str, observation: Observation) -> Inputs:
        """What an observation reads of a role."""
        own = self._answers(role) if observation.of_answers else []
        texts = texts_among(own, {role: self.roles[role]})
        # a text has no prompt: its beginning is one
        prompts = [begun(r, REPORTED) or r if (r.role, r.id) in texts else r for r in own]
        want = self.wants[role]
        limit = want.tokens or self.max_new_tokens
        return Inputs(
            role, own, prompts, self.roles, self.reads, limit, self.max_length, self.tick, want.cut
        )

    def _answers(self, role: str) -> list[Row]:
        """The answers of a role; they need not be scored."""
        if role not in self.answers:
            scored = [r for r in self.rows if r.role == role and r.variant == "answer"]
            if not scored:
                most = self.subject.room(self.roles[role], self.max_length)
                scored = self.subject.encode(self.roles[role], max_length=most)
            self.answers[role] = scored
        return self.answers[role]

    def _has_moments(self, row: Row) -> bool:
        asked = self.wants[row.role].observations
        moments = any(isinstance(o, TeacherForced) and o.moments for o in asked)
        return moments and row.variant == "answer"

    def _run(self, asked: Sequence[Asked]) -> None:
        """Run one observation on all roles that ask for it."""
        able: list[tuple[Any, Inputs]] = []
        for role, observation in asked:
            inputs = self._inputs(role, observation)
            rows = bool(inputs.answers) or not observation.of_answers
            if rows and observation.can_run(inputs, self.references):
                able.append((observation, inputs))
        if able:
            found = type(able[0][0]).run_roles(self.subject, able, self.references)
            for (observation, inputs), one in zip(able, found, strict=True):
                self._keep(observation, inputs, one)

    def _keep(self, observation: Observation, inputs: Inputs, found: Observed) -> None:
        """Keep what an observation found of a role."""
        for name, values in found.fields.items():
            for row, value in zip(inputs.answers, values, strict=True):
                if value is not None:
                    self.observed.setdefault((row.role, row.id), {})[name] = value
        for row, fields in zip(inputs.answers, found.answers, strict=bool(found.answers)):
            self.known.setdefault((row.role, row.id), {}).update(fields)
        for row, read in found.scored:
            self.recorded.append(row)
            self.reads[_key(row)] = read
        for made in found.records:
            key = (made.role, made.id, made.variant)
            self.records.setdefault(key, replace(made, subject=self.name))
        for place, ids in found.ids.items():
            self.ids[place] = {"generated": ids}
        if found.cost is not None:
            self.cost.join(found.cost)
        if observation.unit and (found.made or found.fields or found.scored):
            self.cost.add(observation.unit, found.made)

    def _know(self, role: str, rows: Sequence[Row]) -> None:
        """Of every answer its question and the other right answers; of a plain text how much of it
        is given.
        """
        asked = {e.id: e for e in self.roles[role] if e.prompt is not None}
        texts = texts_among(rows, {role: self.roles[role]})
        for row in rows:
            own = self.known.setdefault((role, row.id), {})
            example = asked.get(row.id)
            if example is not None:
                own |= {"question": example.prompt, "also": other_answers(example)}
            if (role, row.id) in texts:
                own["prefix"] = given_of(row)

    def _of(self, row: Row) -> Mapping[str, Any]:
        """The known fields of a row's record."""
        if row.variant != "answer":
            return EMPTY
        key = (row.role, row.id)
        return {**self.known.get(key, {}), "observed": self.observed.get(key, EMPTY)}

    def _unscored_records(self) -> Iterator[Record]:
        """Of answers that were observed and not scored: what was observed."""
        for rows in self.answers.values():
            for r in rows:
                observed = self.observed.get((r.role, r.id))
                if _key(r) not in self.reads and observed:
                    yield Record(self.name, r.role, r.id, r.group, r.variant, observed=observed)


def _key(row: Row) -> RowKey:
    return (row.role, row.id, row.variant)


def _rank(asked: Asked) -> tuple[int, str]:
    return asked[1].order, asked[1].name


def _name_of(asked: Asked) -> str:
    return asked[1].name
