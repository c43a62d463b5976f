"""LUME, the data design of SemEval-2025 Task 4: invented stories, invented people with private
data, real biographies.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from expunge.benchmarks._choices import questions
from expunge.core.benchmark import Benchmark, Published
from expunge.core.card import Card
from expunge.core.data import Case, Examples
from expunge.core.errors import Refused, unknown
from expunge.data.columns import BARE, LITERAL, UNENDED
from expunge.data.read import read
from expunge.data.tables import examples, table, table_or_none

card = Card(
    paper="Ramakrishna et al. 2025",
    url="https://arxiv.org/abs/2502.15097",
    where="github.com/amazon-science/lume-llm-unlearning, data (Apache-2.0); SemEval-2025 Task 4",
    family=("aggregate", "privacy", "creative text"),
    evidence="oracle",
    differs="The challenge's own rows are gated. Its membership part needs its own documents "
    "(lume/member.jsonl and nonmember.jsonl, "
    "copied from mia_data); without them it is told of the forget rows and rows that no model saw "
    "(--holdout), which is another number. "
    "Its MMLU part needs mmlu/test.json in the same folder; without them the final score is "
    "unscored and the task aggregate stands alone.",
)

MEMBERS = ("member", "nonmember")
GATED = (
    "the task's own data, mia_data (gated: "
    "llmunlearningsemeval2025organization/semeval25-unlearning-dataset-public)"
)
PLACE = "github.com/amazon-science/lume-llm-unlearning (folder data)"
TASKS = {"Task1": "creative", "Task2": "personal", "Task3": "biographies"}
PROBES = {"sc": "completion", "qa": "question"}
PROBE = re.compile(r"(?P<document>.*?)(?P<probe>sc|qa)(?P<number>\d*)$")
ROLES = tuple(
    f"{side}_{task}_{probe}"
    for side in ("forget", "retain")
    for task in TASKS.values()
    for probe in PROBES.values()
)
SUBSETS = ("", "small")
ROWS = 2732  # forget rows of the public data, which are not the rows of the task


def lume(split: str = "all", subset: str = "", data: str = "", holdout: str = "") -> Benchmark:
    """Forget half of the documents of three subtasks, judged by completions and questions on both
    halves: twelve scores in one.

    split: all, creative, personal or biographies (one subtask alone has no aggregate over three,
        but its own harmonic mean).
    subset: small asks the first 20 documents of each part only.
    data: a folder with lume/forget.jsonl and retain.jsonl
        (github.com/amazon-science/lume-llm-unlearning); the hub has none.
    holdout: rows that no model saw, for the membership part where the task's own documents are not
        at hand.
    """
    if split != "all" and split not in TASKS.values():
        raise unknown("split of lume", split, ["all", *TASKS.values()])
    if subset not in SUBSETS:
        raise unknown("subset of lume", subset, SUBSETS[1:])
    roles = tuple(r for r in ROLES if split in ("all", r.split("_")[1]))
    cells = {side: table(data, "lume", (side,), PLACE) for side in ("forget", "retain")}
    asked: dict[str, Examples] = {}
    for role in roles:
        side, task, probe = role.split("_")
        mine = lambda row, t=task, p=probe: _of(row)[:2] == (t, p)
        asked[role] = examples(
            cells[side],
            role,
            f"lume/{side}",
            prompt="input",
            answer=_answer,
            group=_document,
            tags=_tags(),
            keep=mine,
        )
        if subset:
            first = set(list(dict.fromkeys(e.group for e in asked[role]))[:20])
            asked[role] = tuple(e for e in asked[role] if e.group in first)
    about = lambda row: split in ("all", _of(row)[0])
    make = lambda side: examples(
        cells[side],
        side,
        f"lume/{side}",
        prompt="input",
        answer=_answer,
        group=_document,
        tags=_tags(),
        keep=about,
    )
    train = {side: make(side) for side in ("forget", "retain")}
    asked["forget"] = tuple(
        e
        for e in train["forget"]
        if not subset or any(e.id == a.id for r in roles[: len(roles) // 2] for a in asked[r])
    )
    if holdout:
        asked["holdout"] = read(holdout, role="holdout", id_prefix="lume/holdout")
    absent: dict[str, str] = {}
    if split == "all":  # a part of the final score, which one subtask alone does not have
        general = table_or_none(
            absent, "mmlu", data, "mmlu", ("test", "all/test"), "hub:cais/mmlu:all@test"
        )
    else:
        general = []
    if general:
        asked["mmlu"] = questions(
            general, "mmlu", "mmlu", subject=lambda row: str(row.get("subject") or "knowledge")
        )
    told = _members(absent, data) if split == "all" else {}
    asked |= told
    sides = MEMBERS if told else ("forget", "holdout")
    whole = (*roles, *sides, "mmlu")
    return Benchmark(
        "lume",
        Case({"full": (*train["retain"], *train["forget"]), **train}, asked),
        [
            *(("exact_match" if r.endswith("question") else "rouge_l_recall", r) for r in roles),
            ("semeval_tasks", None),
            ("mia_loss", None),
            ("semeval_score", None),
            *([("choice_accuracy", "mmlu")] if general else []),
        ],
        arguments={
            "semeval_tasks": {"roles": roles},
            "semeval_score": {"roles": whole},
            **{f"{r}/exact_match": {"form": "letters"} for r in roles if r.endswith("question")},
        },
        published=published(split).beside(subset, rows=bool(told) and len(cells["forget"]) != ROWS),
        absent=absent,
        generate={
            "max_new_tokens": 256,
            "roles": dict.fromkeys(("forget", "holdout", *MEMBERS, "mmlu"), 1),
            "max_length": 2048,
        },
    )


def _members(absent: dict[str, str], data: str) -> dict[str, Examples]:
    """The task's own documents of its membership part, seen in training and not, whole texts
    without an end token; both or none.
    """
    cells = {side: table_or_none(absent, side, data, "lume", (side,), GATED) for side in MEMBERS}
    if not all(cells.values()):
        return {}
    return {
        side: examples(rows, side, f"lume/{side}", text="document", tags=(UNENDED,))
        for side, rows in cells.items()
    }


def _of(row: Mapping[str, Any]) -> tuple[str, str, str]:
    """(task, probe, document) of a row: the end of its id tells the probe."""
    found = PROBE.match(str(row.get("id", "")))
    if found is None or row.get("task") not in TASKS:
        raise Refused(
            "lume: a row whose id does not end in sc or qa and a number, or without Task1 to "
            "Task3; are these LUME's files?"
        )
    return TASKS[row["task"]], PROBES[found["probe"]], found["document"].strip('"')


def _document(row: Mapping[str, Any]) -> str:
    return _of(row)[2]


def _answer(row: Mapping[str, Any]) -> str:
    """The output behind a space: it continues the input letter by letter."""
    return " " + str(row["output"]).strip()


def _tags() -> tuple[str, ...]:
    return (LITERAL, BARE)


KEYS = ("semeval_score", "semeval_tasks", "mmlu/choice_accuracy")
SITE = "SemEval-2025 Task 4 site"


PROTOCOL = (
    "the task's own rows, which are gated and not those of LUME, with its own membership "
    "documents and MMLU"
)


def published(split: str) -> Published:
    """The task's results page, 7B and 1B (OLMo), on its own rows: the parts that are known.

    Membership is the fourth number there.

    SHA256 has the best score of the three, but an MMLU below .371 is out of the awards.
    """
    large = {"AILS-NTUA": (0.706, 0.827, 0.443), "ZJUKLAB": (0.487, 0.944, 0.471)}
    found = {
        f"OLMo-7B {team} ({SITE})": dict(zip(KEYS, values, strict=True))
        for team, values in large.items()
    }
    found[f"OLMo-7B SHA256 ({SITE})"] = {"semeval_score": 0.711, "mmlu/choice_accuracy": 0.275}
    found[f"OLMo-1B AILS-NTUA ({SITE})"] = {"semeval_score": 0.688}
    return Published(found if split == "all" else {}, PROTOCOL)
