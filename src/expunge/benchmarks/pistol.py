"""PISTOL: contracts as edges of a graph of invented parties; an edge is forgotten, and what hangs
on the same parties must stay.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import Any

from expunge.benchmarks._pistol_words import SALE, WORK, letters, person
from expunge.core.benchmark import Benchmark
from expunge.core.card import Card
from expunge.core.data import Case, Example, Examples
from expunge.core.errors import Refused, unknown
from expunge.data.otherwise import asked_otherwise
from expunge.data.tables import examples, table, table_or_none

card = Card(
    paper="Qiu, Shen et al. 2024",
    url="https://arxiv.org/abs/2406.16810",
    where="structural unlearning; hub data set xinchiqiu/PISTOL",
    family=("generated", "interlinked facts"),
    # its README: 20 epochs; lr 2e-5 for Llama-2-7b-chat; its config: batch 16, no weight decay
    settings={"pistol": {"lr": 2e-5, "epochs": 20, "batch": 16, "weight_decay": 0.0}},
    evidence="oracle",
    differs="The generator is ours: the same structure (edges between parties, twenty attributes a "
    "contract, random names), other words. "
    "The authors' rows have no licence and are read from your copy (they were, once, with this "
    "loader). Edges of other parties are all "
    "asked; their config asks three sales and three employments among them, and 200 questions of a "
    "set at most. Mean reciprocal rank and "
    "hit rate are token_rank's, after the true tokens; the mean probability in their code is of "
    "the prompt and left out. Their config "
    "trains LoRA (rank 8, alpha 32, lr 1e-4), their README says 2e-5.",
)

HUB = "hub:xinchiqiu/PISTOL:{}@train"
SAMPLES = ("sample_data_1", "sample_data_2")
COMPANIES, PEOPLE, OUTSIDERS = 9, 8, 4
WRONG = 3
METRICS = ("probability", "rouge_1_recall", "rouge_l_recall", "token_rank", "truth_ratio")
# kinds of contracts that no path joins to the edge
INDEPENDENT = {"sale": "independent_sales", "employment": "independent_employment"}
FIRST = "A_C"  # the edge of their config


@dataclass(frozen=True)
class Contract:
    """An edge: two parties, what kind of contract, and its attributes with their values."""

    edge: str
    kind: str
    parties: tuple[str, str]
    facts: tuple[tuple[str, str, tuple[str, ...]], ...]


def pistol(split: str = "generated", data: str = "", holdout: str = "") -> Benchmark:
    """Forget one or more contracts; judged on them, on contracts of the same parties, on all others
    and on contracts nobody saw.

    split: generated, generated:N (the first N contracts are forgotten), or sample_data_1 or
        sample_data_2 of the authors, after a colon the edges that are forgotten (sample_data_1:A_C,
        the default, or A_C+A_C2).
    data: for the authors' rows a folder with pistol/sample_data_1.json (and factual_data.json,
        asked as utility); without it they come from hub:xinchiqiu/PISTOL.
    holdout: not read; the generator brings contracts of other parties.
    """
    name, _, which = split.partition(":")
    if name not in ("generated", *SAMPLES):
        raise unknown("split of pistol", name, ("generated", *SAMPLES))
    if name != "generated":
        return _sample(name, which, data)
    if which and (not which.isdigit() or not 1 <= int(which) <= 8):
        raise Refused(f"pistol:{split}: how many contracts to forget is a whole number from 1 to 8")
    rng = Random("pistol")
    trained, unseen = (
        list(contracts(rng, COMPANIES, PEOPLE, "")),
        list(contracts(rng, OUTSIDERS, 2, "x")),
    )
    gone = [c for c in trained if c.kind == "sale"][: int(which or 1)]
    touched = {p for c in gone for p in c.parties}
    role_of = lambda c: (
        "forget" if c in gone else "neighbour" if touched & set(c.parties) else "retain"
    )
    asked: dict[str, list[Example]] = {"forget": [], "neighbour": [], "retain": [], "holdout": []}
    for c in trained:
        asked[role_of(c)] += rows(c, role_of(c))
    for c in unseen:
        asked["holdout"] += rows(c, "holdout")
    if len(gone) == 1:  # its questions are then what is resampled
        asked["forget"] = [replace(e, group=e.id) for e in asked["forget"]]
    return _benchmark({role: tuple(found) for role, found in asked.items()})


def contracts(rng: Random, companies: int, people: int, mark: str) -> Iterator[Contract]:
    """Sales along a ring of companies with a chord from every third, and employments that hang a
    person on each company.
    """
    names = list(
        dict.fromkeys(letters(rng, 6) + " " + letters(rng, 4) for _ in range(4 * companies))
    )[:companies]
    workers = list(dict.fromkeys(person(rng) for _ in range(4 * people)))[:people]
    ring = [(i, (i + 1) % companies) for i in range(companies)]
    chords = [(i, (i + companies // 2) % companies) for i in range(0, companies, 3)]
    edges = [
        ("sale", names[a], names[b], f"{mark}{a}_{b}") for a, b in dict.fromkeys([*ring, *chords])
    ]
    edges += [
        ("employment", names[i % companies], w, f"{mark}{i % companies}_p{i}")
        for i, w in enumerate(workers)
    ]
    for kind, a, b, edge in edges:
        facts = []
        for attribute, draw in SALE if kind == "sale" else WORK:
            values = list(dict.fromkeys(draw(rng) for _ in range(12)))[: WRONG + 1]
            facts.append((attribute, values[0], tuple(values[1:])))
        yield Contract(edge, kind, (a, b), tuple(facts))


def rows(c: Contract, role: str) -> list[Example]:
    """Twenty questions about a contract; the contract is the unit of resampling."""
    a, b = c.parties
    made = []
    for attribute, value, wrong in c.facts:
        prompt = f"What is the {attribute} in the {c.kind} contract between {a} and {b}?"
        variants = {
            "question/paraphrase": f"{a} and {b} signed a {c.kind} contract. Which {attribute} "
            f"does it state?"
        }
        variants |= {f"perturbed/{i}": w + "." for i, w in enumerate(wrong)}
        made.append(
            Example(
                f"pistol/{c.edge}/{attribute}",
                role,
                c.edge,
                value + ".",
                prompt,
                variants=variants,
                tags=(c.kind,),
            )
        )
    return made


def _sample(name: str, edge: str, data: str) -> Benchmark:
    """The authors' rows: {question, answer, edge}."""
    cells = table(data, "pistol", (name,), HUB.format(name))
    edges = sorted({str(c.values.get("edge")) for c in cells})
    gone = tuple(edge.split("+")) if edge else (FIRST if FIRST in edges else edges[0],)
    for one in gone:
        if one not in edges:
            raise unknown(f"edge of {name}", one, edges)
    reached = joined(edges, gone)
    sides = {e: _side(e, gone, reached) for e in edges}
    found: dict[str, Examples] = {}
    for role in ("forget", "neighbour", *INDEPENDENT.values(), "retain"):
        if role in sides.values():
            found[role] = examples(
                cells, role, f"pistol/{name}", group="edge", keep=partial(_is_of, sides, role)
            )
    if len(gone) == 1:
        found["forget"] = tuple(replace(e, group=e.id) for e in found["forget"])
    absent: dict[str, str] = {}
    facts = table_or_none(
        absent, "factual", data, "pistol", ("factual_data",), HUB.format("factual_data")
    )
    if facts:
        found["factual"] = examples(facts, "factual", "pistol/factual")
    return replace(_benchmark(found), absent=absent)


def _is_of(sides: Mapping[str, str], role: str, row: Mapping[str, Any]) -> bool:
    return sides[str(row.get("edge"))] == role


def parties_of(edge: str) -> set[str]:
    """The two parties of an edge: A and C2 of A_C2; a person's name begins small (E1_q1 is an
    employment).
    """
    return set(edge.split("_"))


def joined(edges: Iterable[str], gone: Iterable[str]) -> set[str]:
    """The parties that a path of contracts joins to those of ``gone``."""
    reached = {party for edge in gone for party in parties_of(edge)}
    rest = [parties_of(edge) for edge in edges]
    while any(parties & reached and not parties <= reached for parties in rest):
        for parties in rest:
            reached |= parties if parties & reached else set()
    return reached


def _side(edge: str, gone: Sequence[str], reached: set[str]) -> str:
    """forget for the edges themselves, neighbour for contracts of the same parties, by kind for
    those that no path joins, else retain.
    """
    if edge in gone:
        return "forget"
    if parties_of(edge) & {party for one in gone for party in parties_of(one)}:
        return "neighbour"
    if parties_of(edge) & reached:
        return "retain"
    person = any(party[:1].islower() for party in parties_of(edge))
    return INDEPENDENT["employment" if person else "sale"]


def _benchmark(asked: dict) -> Benchmark:
    kept = tuple(
        e for role in ("neighbour", "retain", *INDEPENDENT.values()) for e in asked.get(role, ())
    )
    train = {"forget": asked["forget"], "retain": kept, "full": (*kept, *asked["forget"])}
    wrong = any(e.variants for e in asked["forget"])
    metrics = [(m, role) for role in asked for m in METRICS if wrong or m != "truth_ratio"]
    metrics += [("forget_quality", None)] if wrong else []
    otherwise = asked_otherwise(asked["forget"], "forget_paraphrased")
    if otherwise:
        asked = {**asked, "forget_paraphrased": otherwise}
        metrics += [(m, "forget_paraphrased") for m in METRICS]
    metrics += [(m, None) for m in ("mia_loss", "privleak")] if "holdout" in asked else []
    return Benchmark(
        "pistol",
        Case(train, asked),
        metrics,
        settings=card.settings["pistol"],
        generate={"max_new_tokens": 48},
    )
