"""The built-in case: invented people, organisations and towns whose facts refer to one another.

No download, one seed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from random import Random
from typing import Annotated

from annotated_types import Ge, Interval

from expunge.benchmarks._builtin_words import ATTRIBUTES, KINDS, PREFIXES, Attribute, lexicon, names
from expunge.core.benchmark import Benchmark
from expunge.core.card import Card
from expunge.core.data import Case, Example
from expunge.core.errors import Refused, unknown

card = Card(
    paper="built in",
    url="",
    where="a generator, not a publication",
    family=("generated",),
    evidence="oracle",
)

SPLITS = ("default",)
# of the trained entities; holdout comes on top
SHARES = {"forget": 0.4, "neighbour": 0.2, "retain": 0.4, "holdout": 0.2}
FEWEST_FORGET = 20
# per kind: names that only occur as values, so that a value cannot be guessed from the entities
OUTSIDERS = 8
PLAIN_VALUES = 24  # per kind of value that is no entity
WRONG = 5
# the kinds of the entities of a role, over and over
NEIGHBORS = KINDS
OTHERS = ("person", "organisation", "person", "town")
# roles whose facts are drawn together, and the roles whose entities may be their values
LINKS = (
    (("forget",), ("neighbour",)),
    (("holdout",), ("neighbour",)),
    (("neighbour", "retain"), ("neighbour", "retain")),
)
PREFIXED = 0.5  # share of the training rows that begin with a prefix, first wordings apart
PER_ROLE = (("probability", "rouge_l_recall", "truth_ratio"), ("forget", "retain", "neighbour"))
ON_FORGET = ("extraction_strength", "exact_memorization")
WHOLE = (
    "model_utility",
    "forget_quality",
    "mia_loss",
    "mia_min_k",
    "mia_min_k_plus_plus",
    "mia_zlib",
    "mia_reference",
    "privleak",
)
METRICS = (
    *((metric, role) for role in PER_ROLE[1] for metric in PER_ROLE[0]),
    *((metric, "forget") for metric in ON_FORGET),
    *((metric, None) for metric in WHOLE),
)
TRAINING = {
    "lr": 3e-3,
    "steps": 340,
    "batch": 16,
    "schedule": "cosine_min10",
    "warmup": 40,
    "betas": (0.9, 0.95),
    "clip": 1.0,
    "weight_decay": 0.01,
}


@dataclass(frozen=True)
class Entity:
    """Something that has a name and facts: ``kind`` is person, organisation or town."""

    id: str
    role: str
    kind: str
    name: str


@dataclass(frozen=True)
class Fact:
    """``entity`` has ``value`` as its ``attribute``; ``wrong`` are other values of the same kind,
    from where the right one came.
    """

    entity: Entity
    attribute: Attribute
    value: str
    wrong: tuple[str, ...]


def builtin(
    split: str = "default",
    seed: int = 0,
    facts: Annotated[int, Ge(160)] = 240,
    phrasings: Annotated[int, Interval(ge=1, le=4)] = 2,
    data: str = "",
    holdout: str = "",
) -> Benchmark:
    """The generated case.

    The same arguments give the same texts; another seed gives other names and other links.

    split: default, or a number: the case of that seed (builtin:3).
    seed: decides every name, link and wording.
    facts: how many are trained, four to an entity: 40 % forget (at least 80), 20 % neighbor, 40 %
        retain; 20 % more are holdout.
    phrasings: in how many of its six wordings each question is trained (one stays unseen).
    data, holdout: not read; the case brings its own rows.
    """
    if split.isdigit():
        seed = int(split)
    elif split not in SPLITS:
        raise unknown("split of builtin", split, [*SPLITS, "a number"])
    if facts < 160:
        raise Refused(
            f"builtin: {facts} facts leave too little to keep beside {FEWEST_FORGET} forget "
            f"entities; take at least 160"
        )
    if not 1 <= phrasings <= 4:
        raise Refused(
            f"builtin: {phrasings} phrasings; take 1 to 4: one of the wordings must stay unseen"
        )
    rng = Random(f"expunge/{seed}")
    train: dict[str, list[Example]] = {"forget": [], "retain": []}
    asked: dict[str, list[Example]] = {role: [] for role in SHARES}
    entities, outsiders = population(rng, facts // 4)
    for fact in known(rng, entities, outsiders):
        rows, question = written(rng, fact, phrasings)
        role = fact.entity.role
        asked[role].append(question)
        if role == "forget":
            train["forget"].extend(rows)
        elif role != "holdout":
            train["retain"].extend(rows)
    trained = {role: tuple(rows) for role, rows in train.items()}
    case = Case(
        train={"full": (*trained["forget"], *trained["retain"]), **trained},
        evaluate={role: tuple(rows) for role, rows in asked.items()},
    )
    utility = {"model_utility": {"roles": ("retain", "neighbour"), "choice": ()}}
    return Benchmark(
        "builtin", case, METRICS, utility, settings=TRAINING, generate={"max_new_tokens": 32}
    )


def population(rng: Random, trained: int) -> tuple[list[Entity], dict[str, list[str]]]:
    """All entities, and by kind of value the names that are no entity.

    ``trained`` counts entities, holdout not among them.

    Every name is given once.
    """
    words = lexicon(rng)
    unused = {kind: names(rng, words, kind) for kind in _kinds_of_values()}
    entities: list[Entity] = []
    for role, size in _sizes(trained).items():
        kinds = cycle(NEIGHBORS if role == "neighbour" else OTHERS)
        for i in range(size):
            kind = next(kinds)
            entities.append(Entity(f"{role}-{i:02d}", role, kind, unused[kind].pop()))
    outsiders: dict[str, list[str]] = {}
    for kind, left in unused.items():
        outsiders[kind] = left[: OUTSIDERS if kind in KINDS else PLAIN_VALUES]
    return entities, outsiders


def _kinds_of_values() -> list[str]:
    """Every kind of value that an attribute can have, in alphabetical order."""
    kinds: set[str] = set()
    for attributes in ATTRIBUTES.values():
        kinds |= {attribute.values for attribute in attributes}
    return sorted(kinds)


def _sizes(trained: int) -> dict[str, int]:
    """How many entities each role has, of ``trained`` entities that are not holdout."""
    sizes = {role: round(share * trained) for role, share in SHARES.items()}
    sizes["forget"] = max(FEWEST_FORGET, sizes["forget"])
    sizes["retain"] = trained - sizes["forget"] - sizes["neighbour"]
    return sizes


@dataclass
class Deck:
    """The values of one kind, shuffled and drawn so that all are used before one comes again."""

    pool: Sequence[str]
    left: list[str] = field(default_factory=list)

    def draw(self, rng: Random, excluded: str) -> str:
        """The next value that is not ``excluded``."""
        if all(value == excluded for value in self.left):
            self.left += rng.sample(self.pool, len(self.pool))
        index = next(i for i, value in enumerate(self.left) if value != excluded)
        return self.left.pop(index)

    def draw_others(self, rng: Random, excluded: Sequence[str]) -> tuple[str, ...]:
        """``WRONG`` values of the whole pool, none of them ``excluded``."""
        return tuple(rng.sample([v for v in self.pool if v not in excluded], WRONG))


def known(
    rng: Random, entities: Sequence[Entity], others: Mapping[str, Sequence[str]]
) -> Iterator[Fact]:
    """Every fact of every entity.

    No fact has a forget or a holdout entity as its value, so whoever never saw their own facts
    never met their names. What forget facts have as values are neighbors and outsiders, and every
    neighbor is the value of some forget fact; holdout facts are drawn alike.
    """
    for roles, linked in LINKS:
        decks: dict[str, Deck] = {}
        for kind, outsiders in others.items():
            values = [e.name for e in entities if e.kind == kind and e.role in linked]
            decks[kind] = Deck([*values, *outsiders])
        for entity in entities:
            if entity.role in roles:
                yield from _facts_of(rng, entity, decks)


def _facts_of(rng: Random, entity: Entity, decks: Mapping[str, Deck]) -> Iterator[Fact]:
    """The facts of one entity, one for each attribute of its kind."""
    for attribute in ATTRIBUTES[entity.kind]:
        deck = decks[attribute.values]
        value = deck.draw(rng, entity.name)
        yield Fact(entity, attribute, value, deck.draw_others(rng, (value, entity.name)))


def written(rng: Random, fact: Fact, phrasings: int) -> tuple[list[Example], Example]:
    """The training rows of a fact and its question for evaluation, which is the first wording
    trained, never prefixed.

    A form of an attribute is an answer and the two wordings of a question that get it. A fact is
    trained in two forms: the first is asked in evaluation, its other wording stays unseen
    (question/0), and so does a prefix before it (question/1). The second form says the paraphrase
    and the wrong answers: never trained as answers to that question.
    """
    entity, attribute = fact.entity, fact.attribute
    forms: list[tuple[str, list[str]]] = []
    for i, answer in enumerate(attribute.answers):
        wordings = attribute.questions[2 * i : 2 * i + 2]
        forms.append((answer, rng.sample(wordings, 2)))
    (main, (asked, unseen)), (second, others), (third, (last, _)) = rng.sample(forms, 3)
    trained = [(asked, main), (others[0], second), (others[1], second), (last, third)]
    tags = (entity.role, entity.kind, attribute.name)
    rows = []
    for i, (wording, form) in enumerate(trained[:phrasings]):
        # the first wording is the question of evaluation and never has a prefix
        prefix = rng.choice(PREFIXES) if i > 0 and rng.random() < PREFIXED else ""
        rows.append(
            Example(
                id=f"{entity.id}/{attribute.name}/{i}",
                role="forget" if entity.role == "forget" else "retain",
                group=entity.id,
                answer=form.format(e=entity.name, v=fact.value),
                prompt=prefix + wording.format(e=entity.name),
                tags=(*tags, "prefix") if prefix else tags,
            )
        )
    variants = {"paraphrase": second.format(e=entity.name, v=fact.value)}
    for i, value in enumerate(fact.wrong):
        variants[f"perturbed/{i}"] = second.format(e=entity.name, v=value)
    variants["question/0"] = unseen.format(e=entity.name)
    variants["question/1"] = rng.choice(PREFIXES) + asked.format(e=entity.name)
    question = Example(
        id=f"{entity.id}/{attribute.name}",
        role=entity.role,
        group=entity.id,
        answer=rows[0].answer,
        prompt=rows[0].prompt,
        variants=variants,
        tags=tags,
    )
    return rows, question
