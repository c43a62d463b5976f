"""The built-in case: invented people, organisations and towns whose facts refer to one another.

No download, one seed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
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
PREFIXED = 0.5  # share of the training rows that begin with a prefix, first wordings apart
PER_ROLE = (("probability", "rouge_l_recall", "truth_ratio"), ("forget", "retain", "neighbour"))
ON_FORGET = ("extraction_strength", "exact_memorisation")
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
    facts: how many are trained, four to an entity: 40 % forget (at least 80), 20 % neighbour, 40 %
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
    for fact in known(rng, *population(rng, facts // 4)):
        rows, question = written(rng, fact, phrasings)
        asked[fact.entity.role].append(question)
        if fact.entity.role != "holdout":
            train["forget" if fact.entity.role == "forget" else "retain"].extend(rows)
    case = Case(
        train={
            "full": (*train["forget"], *train["retain"]),
            **{role: tuple(rows) for role, rows in train.items()},
        },
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
    kinds_of_value = {a.values for attributes in ATTRIBUTES.values() for a in attributes}
    unused = {kind: names(rng, words, kind) for kind in sorted(kinds_of_value)}
    sizes = {role: round(share * trained) for role, share in SHARES.items()}
    sizes["forget"] = max(FEWEST_FORGET, sizes["forget"])
    sizes["retain"] = trained - sizes["forget"] - sizes["neighbour"]
    entities = []
    for role, size in sizes.items():
        kinds = KINDS if role == "neighbour" else ("person", "organisation", "person", "town")
        entities += [
            Entity(f"{role}-{i:02d}", role, kind, unused[kind].pop())
            for i, kind in zip(range(size), cycle(kinds))
        ]
    return entities, {
        kind: left[: OUTSIDERS if kind in KINDS else PLAIN_VALUES] for kind, left in unused.items()
    }


def known(
    rng: Random, entities: Sequence[Entity], others: Mapping[str, Sequence[str]]
) -> Iterator[Fact]:
    """Every fact of every entity.

    No fact has a forget or a holdout entity as its value, so whoever never saw their own facts
    never met their names. What forget facts have as values are neighbours and outsiders, and every
    neighbour is the value of some forget fact; holdout facts are drawn alike.
    """
    for side in (("forget",), ("holdout",), ("neighbour", "retain")):
        linked = ("neighbour", "retain") if "retain" in side else ("neighbour",)
        pools = {
            kind: [e.name for e in entities if e.kind == kind and e.role in linked] + list(given)
            for kind, given in others.items()
        }
        decks: dict[str, list[str]] = {kind: [] for kind in pools}
        for entity in (e for e in entities if e.role in side):
            for attribute in ATTRIBUTES[entity.kind]:
                deck, pool = decks[attribute.values], pools[attribute.values]
                if not set(deck) - {entity.name}:
                    deck += rng.sample(pool, len(pool))
                value = deck.pop(next(i for i, v in enumerate(deck) if v != entity.name))
                wrong = rng.sample([v for v in pool if v not in (value, entity.name)], WRONG)
                yield Fact(entity, attribute, value, tuple(wrong))


def written(rng: Random, fact: Fact, phrasings: int) -> tuple[list[Example], Example]:
    """The training rows of a fact and its question for evaluation, which is the first wording
    trained, never prefixed.

    A form of an attribute is an answer and the two wordings of a question that get it. A fact is
    trained in two forms: the first is asked in evaluation, its other wording stays unseen
    (question/0), and so does a prefix before it (question/1). The second form says the paraphrase
    and the wrong answers: never trained as answers to that question.
    """
    name, kind = fact.entity.name, fact.attribute
    pairs = [
        (answer, rng.sample(kind.questions[2 * i : 2 * i + 2], 2))
        for i, answer in enumerate(kind.answers)
    ]
    (main, (asked, unseen)), (second, others), (third, (last, _)) = rng.sample(pairs, 3)
    trained = [(asked, main), (others[0], second), (others[1], second), (last, third)][:phrasings]
    role = "forget" if fact.entity.role == "forget" else "retain"
    tags = (fact.entity.role, fact.entity.kind, kind.name)
    rows = []
    for i, (wording, form) in enumerate(trained):
        prefix = rng.choice(PREFIXES) if i and rng.random() < PREFIXED else ""
        prompt, answer = prefix + wording.format(e=name), form.format(e=name, v=fact.value)
        row_tags = (*tags, "prefix") if prefix else tags
        rows.append(
            Example(
                f"{fact.entity.id}/{kind.name}/{i}",
                role,
                fact.entity.id,
                answer,
                prompt,
                tags=row_tags,
            )
        )
    variants = {"paraphrase": second.format(e=name, v=fact.value)}
    variants |= {
        f"perturbed/{i}": second.format(e=name, v=value) for i, value in enumerate(fact.wrong)
    }
    variants |= {
        "question/0": unseen.format(e=name),
        "question/1": rng.choice(PREFIXES) + asked.format(e=name),
    }
    first, of = rows[0], fact.entity
    return rows, Example(
        f"{of.id}/{kind.name}",
        of.role,
        of.id,
        first.answer,
        first.prompt,
        variants=variants,
        tags=tags,
    )
