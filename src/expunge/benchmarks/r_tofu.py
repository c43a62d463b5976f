"""R-TOFU: TOFU's invented authors for models that think first; answer and chain of thought must
both forget.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from expunge.core.benchmark import Benchmark
from expunge.core.card import Card
from expunge.core.data import Case, Example, Examples
from expunge.core.errors import unknown
from expunge.data.columns import AFTER
from expunge.data.files import Cells
from expunge.data.tables import Take, examples, table, table_or_none

card = Card(
    paper="Yoon et al. 2025",
    url="https://arxiv.org/abs/2505.15214",
    where="github.com/AI-ISL/R-TOFU, data/tofu",
    family=("question answering", "reasoning"),
    evidence="oracle",
    differs="The authors' rows have no licence and are read from your copy (they were, once, with "
    "this loader). Its truth ratio scores "
    "wrong answers under the paraphrase's labels, so it is left out. An output that never closes "
    "its thinking is scored as it is, not "
    "as empty, so that long thinkers do not look forgetful. Real authors and world facts "
    "are scored against the short answer that their questions ask for; the authors' cosine and "
    "entailment take the sentence in "
    "original_answer. All 400 rows are asked, theirs are the first 300. Thoughts are compared step "
    "by step by words alone. "
    "Its forget01 holds ten requests of 40 rows: they are the stages, and after each the rows of "
    "all requests so far are asked.",
)

PLACE = "github.com/AI-ISL/R-TOFU (folder data/tofu)"
FORGET = ("forget01", "forget05", "forget10")
OF_AUTHOR = 20
ASKED = 400  # rows of each side, at most
METRICS = ("rouge_l_recall", "token_entropy", "semantic_similarity", "entailment")
FACTS = {"real_authors": "real_authors_perturbed", "world_facts": "world_facts_perturbed"}
OPEN, CLOSE = "<think>\n", "\n</think>\n\n"
TAGS = re.compile(r"\A\s*<think>|</think>\s*\Z")  # those around a thought
# answers are judged by what is written behind the thinking, thoughts by all of it
ANSWER = (AFTER + CLOSE.strip(),)


def r_tofu(split: str = "forget10", data: str = "") -> Benchmark:
    """Forget authors whose answers come after a chain of thought, at once or request by request
    (the stages).

    split: forget01, forget05 or forget10, the file of that name.
    data: a folder with r_tofu/forget10.json and retain90.json (columns task_id, question, answer,
        cot), and where they are at hand retain_perturbed.json, real_authors_perturbed.json,
        world_facts_perturbed.json (of these the files with _cot stand in).
    """
    if split not in FORGET:
        raise unknown("split of r_tofu", split, FORGET)
    kept = f"retain{100 - int(split[-2:])}"
    cells = table(data, "r_tofu", (split,), PLACE)
    others = table(data, "r_tofu", (kept, "retain90", "retain_perturbed"), PLACE)
    train = {
        "forget": _rows(cells, "forget", _thought),
        "retain": _rows(others, "retain", _thought),
    }
    asked = {
        "forget": _judged_by_answer(_rows(cells, "forget", "answer")),
        "retain": _judged_by_answer(_rows(others, "retain", "answer")[:ASKED]),
    }
    for role, rows in train.items():
        asked[f"{role}_thought"] = tuple(replace(e, role=f"{role}_thought") for e in rows[:ASKED])
    absent: dict[str, str] = {}
    for role, file in FACTS.items():
        facts = table_or_none(absent, role, data, "r_tofu", (file, f"{file}_cot"), PLACE)
        if facts:
            wrong = {"perturbed/": "perturbed_answer"}
            asked[role] = examples(facts, role, f"r_tofu/{role}", variants=wrong, tags=ANSWER)
    case = Case({"full": (*train["retain"], *train["forget"]), **train}, asked)
    metrics: list[tuple[str, str | None]] = [(m, role) for role in asked for m in METRICS]
    metrics += [("step_recall", role) for role in asked if role.endswith("_thought")]
    metrics += [("forget_efficacy", None), ("reasoning_utility", None)]
    sides = tuple(role for role in ("retain", *FACTS) if role in asked)
    return Benchmark(
        "r_tofu",
        case,
        metrics,
        {"reasoning_utility": {"roles": sides}},
        generate={"max_new_tokens": 1024, "max_length": 4096},
        stages=_stages(case, [str(c.values.get("task_id", "")) for c in cells]),
        absent=absent,
    )


def _rows(cells: Sequence[Cells], role: str, answer: Take) -> Examples:
    """The rows of a side; twenty after one another are of one author."""
    rows = examples(cells, role, f"r_tofu/{role}", answer=answer)
    return tuple(replace(e, group=f"{role}/author/{_number(e) // OF_AUTHOR:03d}") for e in rows)


def _number(row: Example) -> int:
    """The index of a row in its file, the last part of its id."""
    return int(row.id.rsplit("/", 1)[1])


def _judged_by_answer(rows: Examples) -> Examples:
    return tuple(replace(e, tags=ANSWER) for e in rows)


def _stages(case: Case, requests: Sequence[str]) -> dict[str, Case]:
    """The requests one by one: the rows of one are forgotten, those of all so far are asked.

    ``requests``: that of each forget row.
    """
    names = list(dict.fromkeys(requests))
    if len(names) < 2:
        return {}
    found: dict[str, Case] = {}
    for i, name in enumerate(names):
        so_far = names[: i + 1]
        forgotten = tuple(e for e in case.train["forget"] if requests[_number(e)] == name)
        asked = dict(case.evaluate)
        for role in ("forget", "forget_thought"):
            asked[role] = tuple(e for e in asked[role] if requests[_number(e)] in so_far)
        found[f"request_{name}"] = Case({**case.train, "forget": forgotten}, asked)
    return found


def _thought(row: Mapping[str, Any]) -> str:
    """The chain of thought in its tags, once even if the column brings them; then the answer."""
    thought = TAGS.sub("", str(row.get("cot") or "")).strip()
    return f"{OPEN}{thought}{CLOSE}{row['answer'].strip()}" if thought else row["answer"]
