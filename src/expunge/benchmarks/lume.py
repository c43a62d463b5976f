"""LUME, the data design of SemEval-2025 Task 4: invented stories, invented people with private
data, real biographies.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Any

from expunge.benchmarks._choices import questions
from expunge.core.benchmark import Benchmark, Published
from expunge.core.card import Card
from expunge.core.data import Case, Examples
from expunge.core.errors import Refused, unknown
from expunge.data.columns import BARE, LITERAL, UNENDED
from expunge.data.files import Cells
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

Row = Mapping[str, Any]
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
    "_".join(parts) for parts in product(("forget", "retain"), TASKS.values(), PROBES.values())
)
SUBSETS = ("", "small")
DOCUMENTS = 20  # of each part, in the subset small
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
    roles = tuple(role for role in ROLES if split in ("all", role.split("_")[1]))
    cells = {side: table(data, "lume", (side,), PLACE) for side in ("forget", "retain")}
    asked = {role: _asked(cells, role, subset) for role in roles}
    train = {side: _trained(cells, side, split) for side in ("forget", "retain")}
    asked["forget"] = _of_parts(train["forget"], asked) if subset else train["forget"]
    if holdout:
        asked["holdout"] = read(holdout, role="holdout", id_prefix="lume/holdout")
    absent: dict[str, str] = {}
    members: dict[str, Examples] = {}
    if split == "all":  # MMLU and membership are parts of the final score, not of one subtask
        asked |= _general(absent, data)
        members = _members(absent, data)
        asked |= members
    theirs = bool(members) and len(cells["forget"]) != ROWS
    sides = MEMBERS if members else ("forget", "holdout")
    arguments: dict[str, dict[str, Any]] = {
        "semeval_tasks": {"roles": roles},
        "semeval_score": {"roles": (*roles, *sides, "mmlu")},
    }
    for role in roles:
        if role.endswith("question"):
            arguments[f"{role}/exact_match"] = {"form": "letters"}
    return Benchmark(
        "lume",
        Case({"full": (*train["retain"], *train["forget"]), **train}, asked),
        _metrics(roles, asked),
        arguments=arguments,
        published=published(split).beside(subset, rows=theirs),
        absent=absent,
        generate={
            "max_new_tokens": 256,
            "roles": dict.fromkeys(("forget", "holdout", *MEMBERS, "mmlu"), 1),
            "max_length": 2048,
        },
    )


def _metrics(roles: Sequence[str], asked: Mapping[str, Examples]) -> list[tuple[str, str | None]]:
    """A score for every part, then the whole."""
    found: list[tuple[str, str | None]] = []
    for role in roles:
        found.append(("exact_match" if role.endswith("question") else "rouge_l_recall", role))
    found += [("semeval_tasks", None), ("mia_loss", None), ("semeval_score", None)]
    if "mmlu" in asked:
        found.append(("choice_accuracy", "mmlu"))
    return found


def _asked(cells: Mapping[str, Sequence[Cells]], role: str, subset: str) -> Examples:
    """The rows of one part: a side, a task and how it is asked.

    ``subset``: of the first documents alone.
    """
    side, task, probe = role.split("_")
    rows = _rows(cells[side], role, side, lambda row: _of(row)[:2] == (task, probe))
    if not subset:
        return rows
    documents = list(dict.fromkeys(e.group for e in rows))[:DOCUMENTS]
    return tuple(e for e in rows if e.group in documents)


def _trained(cells: Mapping[str, Sequence[Cells]], side: str, split: str) -> Examples:
    """All rows of a side, of one subtask or of all."""
    return _rows(cells[side], side, side, lambda row: split in ("all", _of(row)[0]))


def _of_parts(forget: Examples, asked: Mapping[str, Examples]) -> Examples:
    """The forget rows that some part asks."""
    ids: set[str] = set()
    for role, rows in asked.items():
        if role.startswith("forget"):
            ids |= {e.id for e in rows}
    return tuple(e for e in forget if e.id in ids)


def _rows(cells: Sequence[Cells], role: str, side: str, keep: Callable[[Row], bool]) -> Examples:
    return examples(
        cells,
        role,
        f"lume/{side}",
        prompt="input",
        answer=_answer,
        group=_document,
        tags=(LITERAL, BARE),
        keep=keep,
    )


def _general(absent: dict[str, str], data: str) -> dict[str, Examples]:
    """MMLU; {} if it is not at hand."""
    cells = table_or_none(
        absent, "mmlu", data, "mmlu", ("test", "all/test"), "hub:cais/mmlu:all@test"
    )
    if not cells:
        return {}
    return {"mmlu": questions(cells, "mmlu", "mmlu", subject=_mmlu_subject)}


def _mmlu_subject(row: Row) -> str:
    return str(row.get("subject") or "knowledge")


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


def _of(row: Row) -> tuple[str, str, str]:
    """(task, probe, document) of a row: the end of its id tells the probe."""
    found = PROBE.match(str(row.get("id", "")))
    if found is None or row.get("task") not in TASKS:
        raise Refused(
            "lume: a row whose id does not end in sc or qa and a number, or without Task1 to "
            "Task3; are these LUME's files?"
        )
    return TASKS[row["task"]], PROBES[found["probe"]], found["document"].strip('"')


def _document(row: Row) -> str:
    return _of(row)[2]


def _answer(row: Row) -> str:
    """The output behind a space: it continues the input letter by letter."""
    return " " + str(row["output"]).strip()


KEYS = ("semeval_score", "semeval_tasks", "mmlu/choice_accuracy")
SITE = "SemEval-2025 Task 4 site"
LARGE = {"AILS-NTUA": (0.706, 0.827, 0.443), "ZJUKLAB": (0.487, 0.944, 0.471)}
PROTOCOL = (
    "the task's own rows, which are gated and not those of LUME, with its own membership "
    "documents and MMLU"
)


def published(split: str) -> Published:
    """The task's results page, 7B and 1B (OLMo), on its own rows: the parts that are known.

    Membership is the fourth number there.

    SHA256 has the best score of the three, but an MMLU below .371 is out of the awards.
    """
    if split != "all":
        return Published({}, PROTOCOL)
    found: dict[str, Mapping[str, float]] = {}
    for team, values in LARGE.items():
        found[f"OLMo-7B {team} ({SITE})"] = dict(zip(KEYS, values, strict=True))
    found[f"OLMo-7B SHA256 ({SITE})"] = {"semeval_score": 0.711, "mmlu/choice_accuracy": 0.275}
    found[f"OLMo-1B AILS-NTUA ({SITE})"] = {"semeval_score": 0.688}
    return Published(found, PROTOCOL)
