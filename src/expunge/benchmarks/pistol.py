"""PISTOL: contracts as edges of a graph of invented parties; an edge is forgotten, and what hangs
on the same parties must stay.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import Any

from expunge.benchmarks._pistol_words import SALE, WORK, Draw, letters, person
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
    return _generated(int(which or 1))


def _generated(n_forgotten: int) -> Benchmark:
    """The generated graph, whose first ``n_forgotten`` sales are to be forgotten."""
    rng = Random("pistol")
    trained = list(contracts(rng, COMPANIES, PEOPLE, ""))
    unseen = list(contracts(rng, OUTSIDERS, 2, "x"))
    gone = [c for c in trained if c.kind == "sale"][:n_forgotten]
    touched: set[str] = set()
    for contract in gone:
        touched |= set(contract.parties)
    asked: dict[str, list[Example]] = {"forget": [], "neighbour": [], "retain": [], "holdout": []}
    for contract in trained:
        if contract in gone:
            role = "forget"
        elif touched & set(contract.parties):
            role = "neighbour"
        else:
            role = "retain"
        asked[role] += rows(contract, role)
    for contract in unseen:
        asked["holdout"] += rows(contract, "holdout")
    if len(gone) == 1:  # its questions are then what is resampled
        asked["forget"] = [replace(e, group=e.id) for e in asked["forget"]]
    return _benchmark({role: tuple(found) for role, found in asked.items()})


def contracts(rng: Random, companies: int, people: int, mark: str) -> Iterator[Contract]:
    """Sales along a ring of companies with a chord from every third, and employments that hang a
    person on each company.
    """
    company_names = (f"{letters(rng, 6)} {letters(rng, 4)}" for _ in range(4 * companies))
    names = list(dict.fromkeys(company_names))[:companies]
    workers = list(dict.fromkeys(person(rng) for _ in range(4 * people)))[:people]
    for seller, buyer in _sales(companies):
        edge = f"{mark}{seller}_{buyer}"
        facts = _facts(rng, SALE)
        yield Contract(edge, "sale", (names[seller], names[buyer]), facts)
    for i, worker in enumerate(workers):
        employer = i % companies
        edge = f"{mark}{employer}_p{i}"
        facts = _facts(rng, WORK)
        yield Contract(edge, "employment", (names[employer], worker), facts)


def _sales(companies: int) -> list[tuple[int, int]]:
    """(seller, buyer) of every sale: the ring, then the chords that are not in it."""
    ring = [(i, (i + 1) % companies) for i in range(companies)]
    chords = [(i, (i + companies // 2) % companies) for i in range(0, companies, 3)]
    return list(dict.fromkeys([*ring, *chords]))


def _facts(
    rng: Random, attributes: Sequence[tuple[str, Draw]]
) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
    """(attribute, value, wrong values) of a contract, no value twice."""
    facts = []
    for attribute, draw in attributes:
        drawn = [draw(rng) for _ in range(12)]
        value, *wrong = list(dict.fromkeys(drawn))[: WRONG + 1]
        facts.append((attribute, value, tuple(wrong)))
    return tuple(facts)


def rows(c: Contract, role: str) -> list[Example]:
    """Twenty questions about a contract; the contract is the unit of resampling."""
    a, b = c.parties
    found = []
    for attribute, value, wrong in c.facts:
        paraphrase = f"{a} and {b} signed a {c.kind} contract. Which {attribute} does it state?"
        variants = {"question/paraphrase": paraphrase}
        for i, other in enumerate(wrong):
            variants[f"perturbed/{i}"] = f"{other}."
        found.append(
            Example(
                id=f"pistol/{c.edge}/{attribute}",
                role=role,
                group=c.edge,
                answer=f"{value}.",
                prompt=f"What is the {attribute} in the {c.kind} contract between {a} and {b}?",
                variants=variants,
                tags=(c.kind,),
            )
        )
    return found


def _sample(name: str, edge: str, data: str) -> Benchmark:
    """The authors' rows: {question, answer, edge}."""
    cells = table(data, "pistol", (name,), HUB.format(name))
    edges = sorted({_edge_of(c.values) for c in cells})
    gone = _forgotten_edges(name, edge, edges)
    reached = joined(edges, gone)
    sides = {e: _side(e, gone, reached) for e in edges}
    found: dict[str, Examples] = {}
    for role in ("forget", "neighbour", *INDEPENDENT.values(), "retain"):
        if role in sides.values():
            keep = partial(_is_of, sides, role)
            found[role] = examples(cells, role, f"pistol/{name}", group="edge", keep=keep)
    if len(gone) == 1:
        found["forget"] = tuple(replace(e, group=e.id) for e in found["forget"])
    absent: dict[str, str] = {}
    facts = table_or_none(
        absent, "factual", data, "pistol", ("factual_data",), HUB.format("factual_data")
    )
    if facts:
        found["factual"] = examples(facts, "factual", "pistol/factual")
    return replace(_benchmark(found), absent=absent)


def _edge_of(row: Mapping[str, Any]) -> str:
    return str(row.get("edge"))


def _forgotten_edges(name: str, wanted: str, edges: Sequence[str]) -> tuple[str, ...]:
    """The edges that are forgotten: those that the split names, else that of the authors' config,
    else the first.
    """
    if not wanted:
        return (FIRST if FIRST in edges else edges[0],)
    found = tuple(wanted.split("+"))
    for edge in found:
        if edge not in edges:
            raise unknown(f"edge of {name}", edge, edges)
    return found


def _is_of(sides: Mapping[str, str], role: str, row: Mapping[str, Any]) -> bool:
    return sides[_edge_of(row)] == role


def parties_of(edge: str) -> set[str]:
    """The two parties of an edge: A and C2 of A_C2; a person's name begins small (E1_q1 is an
    employment).
    """
    return set(edge.split("_"))


def joined(edges: Iterable[str], gone: Iterable[str]) -> set[str]:
    """The parties that a path of contracts joins to those of ``gone``."""
    reached = _parties_of_all(gone)
    contracts_left = [parties_of(edge) for edge in edges]
    grown = True
    while grown:
        grown = False
        for parties in contracts_left:
            if parties & reached and not parties <= reached:
                reached |= parties
                grown = True
    return reached


def _parties_of_all(edges: Iterable[str]) -> set[str]:
    """The parties of several edges."""
    found: set[str] = set()
    for edge in edges:
        found |= parties_of(edge)
    return found


def _side(edge: str, gone: Sequence[str], reached: set[str]) -> str:
    """forget for the edges themselves, neighbor for contracts of the same parties, by kind for
    those that no path joins, else retain.
    """
    if edge in gone:
        return "forget"
    parties = parties_of(edge)
    if parties & _parties_of_all(gone):
        return "neighbour"
    if parties & reached:
        return "retain"
    with_a_person = any(party[:1].islower() for party in parties)
    return INDEPENDENT["employment" if with_a_person else "sale"]


def _benchmark(asked: dict[str, Examples]) -> Benchmark:
    """The benchmark of what is asked: all but the outsiders' contracts is trained."""
    kept: list[Example] = []
    for role in ("neighbour", "retain", *INDEPENDENT.values()):
        kept += asked.get(role, ())
    train = {"forget": asked["forget"], "retain": tuple(kept)}
    train["full"] = (*kept, *asked["forget"])
    with_wrong_answers = any(e.variants for e in asked["forget"])
    metrics: list[tuple[str, str | None]] = []
    for role in asked:
        metrics += [(m, role) for m in METRICS if with_wrong_answers or m != "truth_ratio"]
    if with_wrong_answers:
        metrics.append(("forget_quality", None))
    otherwise = asked_otherwise(asked["forget"], "forget_paraphrased")
    if otherwise:
        asked = {**asked, "forget_paraphrased": otherwise}
        metrics += [(m, "forget_paraphrased") for m in METRICS]
    if "holdout" in asked:
        metrics += [("mia_loss", None), ("privleak", None)]
    return Benchmark(
        "pistol",
        Case(train, asked),
        metrics,
        settings=card.settings["pistol"],
        generate={"max_new_tokens": 48},
    )
