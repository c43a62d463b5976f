"""MMLU subsets: forget economics, physics or law and keep econometrics, mathematics or
jurisprudence beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from expunge.benchmarks._choices import ASKED, LONGEST, questions
from expunge.core.benchmark import Benchmark
from expunge.core.card import Card
from expunge.core.data import Case, Examples
from expunge.core.errors import unknown
from expunge.data.tables import table

card = Card(
    paper="Li et al. 2024 (WMDP)",
    url="https://arxiv.org/abs/2403.03218",
    where="unlearning MMLU subjects; hub data set cais/mmlu (MIT)",
    family=("multiple choice",),
    evidence="oracle",
    differs="Which MMLU subjects make up economics, physics, law and mathematics is from memory. "
    "Real rows seen: RWKU's three a subject. "
    "The books that the paper unlearns on are not on the hub: unlearn with your own --forget texts "
    "and judge here.",
)

HUB = "hub:cais/mmlu:all@test"
FORGET = {
    "economics": ("high_school_macroeconomics", "high_school_microeconomics"),
    "physics": ("high_school_physics", "conceptual_physics", "college_physics"),
    "law": ("international_law", "professional_law"),
}
RETAIN = {
    "economics": ("econometrics",),
    "physics": (
        "abstract_algebra",
        "college_mathematics",
        "elementary_mathematics",
        "high_school_mathematics",
    ),
    "law": ("jurisprudence",),
}


def mmlu_subsets(split: str = "economics", data: str = "") -> Benchmark:
    """Three roles: the subjects to forget, their neighbors to keep, and all that remains.

    split: economics, physics or law.
    data: a folder with mmlu/test.json, or one with retain_mmlu.json as RWKU has it; without it the
        rows come from hub:cais/mmlu.
    """
    if split not in FORGET:
        raise unknown("split of mmlu_subsets", split, FORGET)
    cells = table(data, "mmlu", ("test", "retain_mmlu", "all/test"), HUB)
    sides = {"forget": FORGET[split], "neighbour": RETAIN[split]}
    taken = {*sides["forget"], *sides["neighbour"]}
    sides["retain"] = tuple({_subject(c.values) for c in cells} - taken)
    asked: dict[str, Examples] = {}
    for role, subjects in sides.items():
        keep = partial(_is_of, subjects)
        asked[role] = questions(cells, role, "mmlu", subject=_subject, keep=keep)
    metrics = [(metric, role) for role in asked for metric in ASKED]
    return Benchmark("mmlu_subsets", Case({}, asked), metrics, generate={"max_length": LONGEST})


def _subject(row: Mapping[str, Any]) -> str:
    return str(row.get("task") or row.get("subject") or "")


def _is_of(names: tuple[str, ...], row: Mapping[str, Any]) -> bool:
    return _subject(row) in names
