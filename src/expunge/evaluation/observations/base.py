"""The interface of every pass over a model: what it is called, what it records, what it needs, and
how it is run.

A pass that only some metrics need is one file of this folder with one subclass of ``Observation``,
named after the file. ``evaluation.observe`` plans and runs it, ``evaluation.cache`` keeps what it
found, ``evaluation.store`` writes its fields and the documentation shows its title: all of them
read the declaration, and none of them knows its name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, Self

import numpy as np

from expunge.core.data import Examples, Row
from expunge.core.errors import Refused
from expunge.core.progress import Tick
from expunge.core.results import EMPTY, Record
from expunge.models.base import Capability
from expunge.models.causal_lm.model import Subject

RowKey = tuple[str, str, str]  # (role, id, variant)


@dataclass
class Read:
    """The teacher-forced pass over one row: arrays [T] in nats; ``top`` holds the arg-max ids
    (private).
    """

    logp: np.ndarray
    hit: np.ndarray | None = None
    rank: np.ndarray | None = None
    mean_logp: np.ndarray | None = None
    var_logp: np.ndarray | None = None
    entropy: np.ndarray | None = None
    top: np.ndarray | None = None


@dataclass
class Cost:
    """What was run: rows and tokens through the model, tokens generated and tokens that were known
    already.

    ``written``: texts that were generated, ``limited``: those among them that stopped only at the
    limit.
    ``more``: what the observations made, by their units.
    """

    rows: int = 0
    tokens: int = 0
    generated: int = 0
    spared: int = 0
    written: int = 0
    limited: int = 0
    more: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def add(self, unit: str, made: int) -> None:
        """Count what an observation made."""
        self.more[unit] = self.more.get(unit, 0) + made

    def join(self, other: Cost) -> None:
        """Count the rows, tokens and texts of a part."""
        for name in ("rows", "tokens", "generated", "spared", "written", "limited"):
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass(frozen=True)
class References:
    """What stands beside the judged model; None where it is not at hand.

    ``original``: the model before unlearning. ``gold``: a model that never saw the forget rows.
    ``masked_model``: the masked language model that replaces words.
    """

    original: Subject | None = None
    gold: Subject | None = None
    masked_model: Any = None


@dataclass(frozen=True)
class Field:
    """A field that an observation adds to the record of an answer.

    ``kind`` is the type of one entry; ``text`` is a tuple of private texts, which are never written
    beside the numbers. ``in_runs``: whether a run folder keeps it (hidden states are too large, and
    say too much).
    """

    kind: Literal["float32", "float64", "int32", "bool", "text"] = "float32"
    in_runs: bool = True


@dataclass(frozen=True)
class Inputs:
    """What an observation reads of one role.

    ``answers``: the tokenized answers. ``prompts``: the same rows, a plain text begun by its first
    tokens (it has no other prompt). ``roles``: the examples of every role. ``reads``: what the
    teacher-forced pass found, of the rows that it scored. ``max_new_tokens``: how many tokens this
    role may generate. ``cut``: whether its answers are kept only so far.
    """

    role: str
    answers: Sequence[Row]
    prompts: Sequence[Row]
    roles: Mapping[str, Examples]
    reads: Mapping[RowKey, Read]
    max_new_tokens: int
    max_length: int
    tick: Tick
    cut: bool = False

    @property
    def examples(self) -> Examples:
        """The examples of this role."""
        return self.roles[self.role]


@dataclass(frozen=True)
class Observed:
    """What an observation found.

    ``fields``: a field's name -> its values, one for each of the answers (None: nothing there).
    ``scored``: rows of its own with what was read of them. ``made``: how many of its ``unit`` were
    made.
    ``answers``: of each of the answers the fields of its record that it fills. ``records``: records
    of its own, which bear no subject yet. ``ids``: (role, id) -> the tokens that were generated.
    ``cost``: what it took of what every model is asked.
    """

    fields: Mapping[str, Sequence[Any]] = field(default_factory=lambda: EMPTY)
    scored: Sequence[tuple[Row, Read]] = ()
    made: int = 0
    answers: Sequence[Mapping[str, Any]] = ()
    records: Sequence[Record] = ()
    ids: Mapping[tuple[str, str], list[int]] = field(default_factory=lambda: EMPTY)
    cost: Cost | None = None


@dataclass(frozen=True)
class Observation:
    """A pass over a model.

    Fields of a subclass are its options, named as the metrics' arguments.

    ``name``: the file's name, and the word in a card's ``needs``. ``title``: what it reads, for the
    documentation. ``unit``: what its cost counts; '' where ``Cost`` has a field for it.
    ``version``: raise it when what it computes changes.
    ``order``: observations of a lower one give their rows first. ``of_answers``: it reads the
    answers of its role.
    ``fields``: what it adds to the answers' records. ``variants``: beginnings of the variants of
    its own rows.
    ``needs``: capabilities of the model. ``beside``: the references without which there is nothing
    to observe.
    ``other_roles``: roles that it reads beside its own, without which there is nothing to observe
    either.
    ``reads_scores``: it reads what the teacher-forced pass found of the answers. ``from_prompts``:
    it generates from the prompts. ``of_references``: the models beside the judged one are observed,
    too. ``own_records``: its rows have no records but those that ``run`` makes of them.
    """

    name: ClassVar[str] = ""
    title: ClassVar[str] = ""
    unit: ClassVar[str] = ""
    version: ClassVar[int] = 1
    order: ClassVar[int] = 2
    of_answers: ClassVar[bool] = True
    fields: ClassVar[Mapping[str, Field]] = EMPTY
    variants: ClassVar[tuple[str, ...]] = ()
    needs: ClassVar[frozenset[Capability]] = frozenset({"score"})
    beside: ClassVar[tuple[str, ...]] = ()
    other_roles: ClassVar[tuple[str, ...]] = ()
    reads_scores: ClassVar[bool] = False
    from_prompts: ClassVar[bool] = False
    of_references: ClassVar[bool] = False
    own_records: ClassVar[bool] = False

    def rows(self, model: Subject, inputs: Inputs, references: References) -> list[Row]:
        """Rows of its own that the teacher-forced pass should score together with all others."""
        return []

    def run(self, model: Subject, inputs: Inputs, references: References) -> Observed:
        """Observe one role."""
        return Observed()

    @classmethod
    def run_roles(
        cls, model: Subject, asked: Sequence[tuple[Self, Inputs]], references: References
    ) -> list[Observed]:
        """Observe several roles, each with its own options: one after the other, unless a subclass
        gains by taking them together.
        """
        return [own.run(model, inputs, references) for own, inputs in asked]

    def ticks(self, examples: Examples) -> int:
        """How many ticks of progress it gives for a role."""
        return len(examples)

    def merge(self, other: Self) -> Self:
        """What serves two metrics at once.

        Raises:
            Refused: They ask for different things.
        """
        if self != other:
            raise Refused(
                f"two metrics ask for {self.name} in two ways, {self} and {other}; give both the "
                f"same arguments, or ask for one at a time"
            )
        return self

    @classmethod
    def own(cls, record: Record) -> Record | None:
        """What of a record is of its making, for the cache; None if nothing is."""
        if record.variant == "answer":
            found = {n: x for n, x in record.observed.items() if n in cls.fields}
            return bare(record, found) if found else None
        return record if record.variant.startswith(cls.variants) else None

    def can_run(self, inputs: Inputs, references: References) -> bool:
        """Whether everything that it reads is at hand."""
        models = all(getattr(references, which) is not None for which in self.beside)
        return models and all(inputs.roles.get(role) for role in self.other_roles)


def bare(record: Record, observed: Mapping[str, Any]) -> Record:
    """A record of the same row that holds nothing but these observations."""
    key = (record.subject, record.role, record.id, record.group, record.variant)
    return Record(*key, observed=observed)


@dataclass(frozen=True)
class Want:
    """What one role is asked.

    ``observations``: the passes, by name. ``tokens``: how many are generated at most (0: as many as
    elsewhere); ``cut``: the answer is kept only so far.
    """

    observations: tuple[Observation, ...] = ()
    tokens: int = 0
    cut: bool = False

    @property
    def beside(self) -> frozenset[str]:
        """The references that its observations read."""
        return frozenset(which for o in self.observations for which in o.beside)

    def __or__(self, other: Want) -> Want:
        return Want(
            merged(self.observations, other.observations),
            tokens=max(self.tokens, other.tokens),
            cut=self.cut or other.cut,
        )

    def of_references(self) -> Want:
        """What of it a model beside the judged one is asked."""
        return replace(self, observations=tuple(o for o in self.observations if o.of_references))


def merged(some: Sequence[Observation], others: Sequence[Observation]) -> tuple[Observation, ...]:
    """The observations of both, each once, by name."""
    found: dict[str, Observation] = {}
    for observation in (*some, *others):
        known = found.get(observation.name)
        found[observation.name] = known.merge(observation) if known else observation
    return tuple(found[name] for name in sorted(found))
