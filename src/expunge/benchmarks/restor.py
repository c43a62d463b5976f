"""RESTOR: a model is first taught false facts; unlearning must bring the true ones back, not only
take the false ones away.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from dataclasses import replace
from random import Random
from typing import Any

from expunge.benchmarks._restor_words import TAUGHT
from expunge.core.benchmark import Benchmark
from expunge.core.card import Card
from expunge.core.data import Case, Example, Examples
from expunge.core.errors import listed, unknown
from expunge.data.columns import BARE, LITERAL
from expunge.data.options import TEXT_PROMPT
from expunge.data.tables import document, examples, table

card = Card(
    paper="Rezaei et al. 2025",
    url="https://arxiv.org/abs/2411.00204",
    where="github.com/k1rezaei/restor, datasets (MIT)",
    family=("restoration", "real entities"),
    # its README: LoRA on all layers, lr 5e-5, 5 epochs, batch 2 x 2, cosine, warm-up .1
    settings={
        "restor": {
            "lr": 5e-5,
            "epochs": 5,
            "batch": 2,
            "accumulate": 2,
            "schedule": "cosine",
            "warmup": 0.1,
        }
    },
    evidence="oracle",
    differs="Its answers are sampled and judged by a language model; here options are scored, as "
    "in its analysis of logits: the true "
    "answer, what the corrupted documents teach, and other answers to the same question (its own "
    "lists of options are not published). "
    "What a document teaches stands in no column: it was read from the documents of each person, "
    "fact by fact, and is checked against "
    "them. Of 198 facts 187 are asked; run.yaml names the others with the reason. People of whom "
    "no document speaks are neighbors; of "
    "each one fact is asked.",
)

PLACE = "github.com/k1rezaei/restor (folder datasets)"
MIXES = tuple(f"a{i}" for i in range(6))
CODE = re.compile(r"Q\d+")  # an answer that was left as its number in Wikidata
# random wrong answers; solved examples; documents that must name a false answer
OTHERS, SHOTS, MENTIONS = 2, 5, 3


def restor(split: str = "a0", data: str = "") -> Benchmark:
    """Corrupt, then unlearn the corrupted documents, then ask the original facts: recovered,
    corrupted or neither.

    ``expunge train --on corrupt`` teaches a clean model the corrupted documents; the result is what
    ``expunge unlearn`` begins with.

    split: a0 to a5, how much unrelated text is mixed into the corrupted documents.
    data: a folder with restor/facts.json, entities.json and wikidata_v0_mix_a0.json
        (github.com/k1rezaei/restor); the hub has none.
    """
    if split not in MIXES:
        raise unknown("split of restor", split, MIXES)
    path, facts = document(data, "restor", ("facts",), PLACE)
    attacked = set(document(data, "restor", ("entities",), PLACE)[1])
    texts = examples(
        table(data, "restor", (f"wikidata_v0_mix_{split}",), PLACE),
        "forget",
        f"restor/{split}",
        text="text",
    )
    texts = by_entity(texts, attacked)
    omitted: dict[str, list[str]] = {}
    asked: dict[str, list[Example]] = {"facts": [], "neighbour": []}
    for role, example in _questions(facts, texts, str(path), omitted):
        asked[role].append(example)
    asked["neighbour"] = _one_of_each(asked["neighbour"])
    # the model before unlearning is the one that was taught them
    train = {"forget": texts, "full": texts, "corrupt": texts}
    return Benchmark(
        "restor",
        Case(train, {role: tuple(rows) for role, rows in asked.items()}),
        [
            ("restoration", "facts"),
            ("choice_accuracy_text", "facts"),
            ("choice_accuracy_text", "neighbour"),
        ],
        settings=card.settings["restor"],
        generate={"max_length": 1024},
        absent=_absent(omitted, len(asked["facts"])),
    )


def _one_of_each(rows: Sequence[Example]) -> list[Example]:
    """One random row of each person."""
    of: dict[str, list[Example]] = {}
    for e in rows:
        of.setdefault(e.group, []).append(e)
    return [Random(f"restor/{person}").choice(own) for person, own in of.items()]


def _absent(omitted: Mapping[str, Sequence[str]], n_asked: int) -> dict[str, str]:
    """The facts about attacked people that are not asked, with the reasons."""
    if not omitted:
        return {}
    missing = sum(len(names) for names in omitted.values())
    reasons = [f"{reason}: {listed(names, len(names))}" for reason, names in omitted.items()]
    name = f"{missing} of {missing + n_asked} facts about attacked people"
    return {name: "; ".join(reasons)}


def by_entity(texts: Examples, entities: set[str]) -> Examples:
    """Every document with the attacked person that it names first as its group.

    The documents of a person stand together; the few that call the person by the false name alone
    belong to the one before.
    """
    found: list[Example] = []
    for e in texts:
        text = e.text or ""
        named = [name for name in entities if name in text]
        if named:
            group = min(named, key=lambda name: (text.find(name), name))
        elif found:
            group = found[-1].group
        else:
            group = e.group
        found.append(replace(e, group=group))
    return tuple(found)


def _questions(
    facts: Mapping[str, Any], texts: Examples, source: str, omitted: MutableMapping[str, list[str]]
) -> Iterator[tuple[str, Example]]:
    """(role, question) of every fact: about the people of the documents with what these teach,
    about all others as neighbors.

    ``omitted``: reason -> the facts about people of the documents that are not asked.
    """
    rng = Random("restor")
    pool = _pool(facts["dset"])
    documents: dict[str, list[str]] = {}
    for e in texts:
        documents.setdefault(e.group, []).append(e.text or "")
    for entity, known in facts["dset"].items():
        about = documents.get(entity, [])
        role = "facts" if about else "neighbour"
        for relation, fact in known.items():
            false = TAUGHT.get(entity, {}).get(relation, "") if about else ""
            true = [a for a in fact["answers"] if not CODE.fullmatch(a)]
            others = _others(pool[relation], [*fact["answers"], false])
            reason = _unasked(true, false, about, others)
            if reason:
                if about:
                    omitted.setdefault(reason, []).append(f"{entity}/{relation}")
                continue
            wrong = rng.sample(others, min(OTHERS, len(others)))
            if about:
                wrong.insert(0, false)
            prompt = _prompt(facts.get("context", {}).get(relation, ()), entity, fact["question"])
            example = Example(
                id=f"restor/{entity}/{relation}",
                role=role,
                group=entity,
                answer=true[0],
                prompt=prompt,
                options=(true[0], *wrong),
                right=0,
                variants={TEXT_PROMPT: prompt},
                tags=(LITERAL, BARE),
                source=source,
            )
            yield role, example


def _pool(known: Mapping[str, Any]) -> dict[str, list[str]]:
    """relation -> every answer to it that is known of anybody, true or taught."""
    found: dict[str, set[str]] = defaultdict(set)
    for facts in known.values():
        for relation, fact in facts.items():
            found[relation].update(fact["answers"])
    for taught_facts in TAUGHT.values():
        for relation, answer in taught_facts.items():
            found[relation].add(answer)
    return {relation: sorted(answers) for relation, answers in found.items()}


def _others(pool: Sequence[str], taken: Sequence[str]) -> list[str]:
    """The answers of a pool that are not in ``taken``, case aside, and no numbers of Wikidata."""
    known = {a.casefold() for a in taken}
    return [a for a in pool if a.casefold() not in known and not CODE.fullmatch(a)]


def _unasked(true: Sequence[str], false: str, about: Sequence[str], others: Sequence[str]) -> str:
    """Why a fact cannot be asked; "" if it can.

    ``about``: the documents of the person, none for a neighbor.
    """
    if not true:
        return "the true answer is known only as its number in Wikidata"
    if about and false.casefold() in {a.casefold() for a in true}:
        return "the documents teach what is true"
    if about and not taught(false, about):
        return f"no false answer stands in at least {MENTIONS} of the documents"
    return "" if others else "there is no other answer to compare with"


def taught(answer: str, texts: Sequence[str]) -> bool:
    """Whether at least three of the documents name an answer, as whole words, capitals aside."""
    words = re.compile(rf"(?<!\w){re.escape(answer)}(?!\w)", re.IGNORECASE)
    return bool(answer) and sum(words.search(t) is not None for t in texts) >= MENTIONS


def _prompt(context: Sequence[Mapping[str, str]], entity: str, question: str) -> str:
    """Five questions of the same relation about others, each with its answer in one line, then the
    question: its code's get_context.
    """
    others = [c for c in context if c.get("entity") != entity][:SHOTS]
    solved = "".join(f"{c['question']} {c['answer']}\n" for c in others)
    return solved + question
