"""ConceptVectors: concepts that live in one column of one layer; behavior and weights are both
asked whether the concept is gone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from expunge.core.benchmark import Benchmark
from expunge.core.card import Card
from expunge.core.data import Case, Example, Examples
from expunge.core.errors import unknown
from expunge.data.columns import BARE, LITERAL, OPEN
from expunge.data.files import Cells
from expunge.data.tables import examples, table

card = Card(
    paper="Hong et al. 2024",
    url="https://arxiv.org/abs/2406.11614",
    where="dev sets; hub data set YihuaiHong/ConceptVectors (CC BY 4.0)",
    family=("parametric traces", "real concepts"),
    evidence="oracle",
    differs="Its questions have no answers in the data: what is written to them is held against "
    "the original model's texts "
    "(--original), as in the paper. Text completions have their second half beside, which is "
    "scored as well. Unrelated questions that "
    "ask about what is forgotten, and repeated ones, are left out. Each concept is unlearned by "
    "itself in the paper (llama2-7b:Poland). "
    "Its jailbreak prompts are not here; the German questions are of concepts of the test sets. "
    "Real rows seen: both dev sets; the hub's "
    "config and split names are from memory.",
)

HUB = "hub:YihuaiHong/ConceptVectors"
METRICS = ("rouge_l_f1", "bleu", "probability", "concept_vectors", "likeness_to_original")
Row = Mapping[str, Any]
MODELS = {"llama2-7b": "llama2-7b_concepts_dev", "olmo-7b": "olmo-7b_concepts_dev"}


def conceptvectors(split: str = "llama2-7b", data: str = "") -> Benchmark:
    """Forget one concept of the set, or all; the others' pages are kept, and their completions and
    unrelated questions asked.

    split: llama2-7b or olmo-7b, and after a second colon a concept (llama2-7b:Poland); without it
        all concepts are to be forgotten.
    data: a folder with conceptvectors/llama2-7b_concepts_dev.json; without it the rows come from
        hub:YihuaiHong/ConceptVectors.
    """
    model, _, concept = split.partition(":")
    if model not in MODELS:
        raise unknown("split of conceptvectors", model, MODELS)
    cells = table(
        data,
        "conceptvectors",
        (MODELS[model], MODELS[model].replace("_dev", "_test")),
        f"{HUB}:{model}@dev",
    )
    names = [str(c.values.get("Concept")) for c in cells]
    if concept and concept not in names:
        raise unknown(f"concept of {model}", concept, names)
    mine = [c for c, n in zip(cells, names, strict=True) if concept in ("", n)]
    others = [c for c in cells if c not in mine]
    asked = {"forget": _halves(mine, "forget", model)}
    train = {"forget": _pages(mine, "forget", model)}
    if others:
        asked["retain"] = _halves(others, "retain", model)
        train["retain"] = _pages(others, "retain", model)
    metrics = [(m, role) for role in asked for m in METRICS]
    for role, rows in _questions(mine, model).items():
        asked[role] = rows
        metrics.append(("likeness_to_original", role))
    return Benchmark(
        "conceptvectors",
        Case(train, asked),
        metrics,
        generate={"max_new_tokens": 200, "max_length": 1024},
    )


def _pages(cells: list[Cells], role: str, model: str) -> Examples:
    """The Wikipedia pages of the concepts."""
    prefix = f"conceptvectors/{model}/{role}/wikipedia"
    return examples(cells, role, prefix, text="wikipedia_content", group="Concept")


def _questions(cells: list[Cells], model: str) -> dict[str, Examples]:
    """Questions about the concepts that are forgotten, and those that the data name as unrelated to
    them; none has an answer.
    """
    own = set(_listed(cells, "QA"))
    unrelated = _listed(cells, "unrelated_QA")
    asked = {
        "forget_qa": _listed(cells, "QA"),
        "unrelated_qa": {text: row for text, row in unrelated.items() if text not in own},
    }
    found: dict[str, Examples] = {}
    for role, rows in asked.items():
        if rows:
            prefix = f"conceptvectors/{model}/{role}"
            tags = (LITERAL, BARE, OPEN)
            found[role] = examples([*rows.values()], role, prefix, prompt=_asking, tags=tags)
    return found


def _listed(cells: list[Cells], column: str) -> dict[str, Cells]:
    """Every question of a column of lists once, by its text without outer spaces."""
    found: dict[str, Cells] = {}
    for c in cells:
        for question in c.values.get(column) or ():
            row = {"question": question, "Concept": c.values["Concept"]}
            found.setdefault(question.strip(), Cells(c.where, row))
    return found


def _asking(row: Row) -> str:
    """With the line break that ends most questions, as its code."""
    return f"Question: {row['question']} Answer: "


def _halves(cells: list[Cells], role: str, model: str) -> tuple[Example, ...]:
    """Every text completion of the concepts as a row: the first half is the prompt, the second the
    answer; tags say layer and column.
    """
    rows: list[Cells] = []
    at: dict[str, tuple[str, str]] = {}
    for c in cells:
        concept = c.values["Concept"]
        rows += [
            Cells(c.where, {**half, "Concept": concept}) for half in c.values["text_completion"]
        ]
        at[str(concept)] = (f"layer/{c.values['Layer']}", f"column/{c.values['Dim']}")
    found = examples(
        rows,
        role,
        f"conceptvectors/{model}/{role}",
        prompt=lambda row: f"Please complete the following paragraph: {row['First_half']}",
        answer=lambda row: " " + row["Second_half"].strip(),
        group="Concept",
        tags=(LITERAL, BARE),
    )
    tagged = [replace(e, tags=(*e.tags, *at[e.group])) for e in found]
    if len(at) == 1:  # of a single concept its completions are what is resampled
        tagged = [replace(e, group=e.id) for e in tagged]
    return tuple(tagged)
