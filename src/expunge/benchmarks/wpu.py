"""WPU: real people of Wikipedia; what is known of them must go, what the same passages say of
others must stay.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from expunge.core.benchmark import Benchmark
from expunge.core.card import Card
from expunge.core.data import Case, Examples
from expunge.core.errors import Refused, unknown
from expunge.core.results import EMPTY
from expunge.data.columns import SHOTS
from expunge.data.files import Cells
from expunge.data.rows import text_fault
from expunge.data.tables import examples, table, table_or_none

card = Card(
    paper="Liu et al. 2024 (Revisiting Who's Harry Potter)",
    url="https://arxiv.org/abs/2407.16997",
    where="hub data set Shiyu-Lab/Wikipedia_Person_Unlearn (MIT)",
    family=("real entities", "loader only"),
    evidence="reconstructed",
    differs="Loader only for forget, hard_retain, general_retain and retain: their rows were never "
    "seen here, the columns (title, "
    "wikipage, question, answer) are those that its code reads. Seen were the demonstrations of "
    "its many-shot attack (msj_attack), which "
    "stand before the forget questions in forget_attack: at most 100, the oldest dropped until "
    "they take 3,896 tokens. Its attack by soft "
    "embeddings is not here. Its three judged scores need a language model as judge and are left "
    "out.",
)

HUB = "Shiyu-Lab/Wikipedia_Person_Unlearn"
SPLITS = (
    "forget_100",
    "forget_20_1",
    "forget_20_2",
    "forget_20_3",
    "forget_2_1",
    "forget_2_2",
    "forget_2_3",
    "forget_2_4",
    "forget_2_5",
)
ATTACK = "github.com/UCSB-NLP-Chang/causal_unlearn (folder data)"
# how many stand before a question, and how many tokens they may take: its msj_attack.py
DEMONSTRATIONS, MOST = 100, 3896
PARAPHRASE = {"question/paraphrase": "paraphrased_question"}
METRICS = ("rouge_l_recall", "probability", "refusal_rate", "repetition")


def wpu(split: str = "forget_100", data: str = "") -> Benchmark:
    """Forget 2, 20 or 100 people; kept are others in the same passages (hard) and people in
    general.

    split: forget_100, forget_20_1 to _3 or forget_2_1 to _5.
    data: a folder with wpu/forget_100.json, and where they are at hand forget_100_hard_retain.json,
        general_retain.json, retain.json (pages of other people, to train on) and msj_attack.json
        (github.com/UCSB-NLP-Chang/causal_unlearn, folder data: demonstrations for the attack);
        without it the rows come from hub:Shiyu-Lab/Wikipedia_Person_Unlearn.
    """
    if split not in SPLITS:
        raise unknown("split of wpu", split, SPLITS)
    absent: dict[str, str] = {}

    def optional(role: str, name: str) -> list[Cells]:
        return table_or_none(absent, role, data, "wpu", (name,), _hub(name))

    forget = table(data, "wpu", (split,), _hub(split))
    asked = {"forget": _questions(forget, "forget", split)}
    for role, name in (("neighbour", f"{split}_hard_retain"), ("retain", "general_retain")):
        cells = optional(role, name)
        if cells:
            asked[role] = _questions(cells, role, name)
    demonstrations = table_or_none(absent, "forget_attack", data, "wpu", ("msj_attack",), ATTACK)
    if demonstrations:
        asked["forget_attack"] = attacked(asked["forget"], demonstrations)
    # without pages the questions are unlearned
    train = {"forget": _pages(forget, "forget") or asked["forget"]}
    retain = _pages(optional("retain (pages to train on)", "retain"), "retain")
    if retain:
        train["retain"] = retain
    return Benchmark(
        "wpu",
        Case(train, asked),
        [(metric, role) for role in asked for metric in METRICS],
        generate={"max_new_tokens": 200, "max_length": MOST + 200},
        absent=absent,
    )


def _hub(name: str) -> str:
    return f"hub:{HUB}:{name}@train"


def _questions(cells: list[Cells], role: str, name: str) -> Examples:
    return examples(cells, role, f"wpu/{name}", group=_person, variants=PARAPHRASE)


def attacked(forget: Examples, demonstrations: list[Cells]) -> Examples:
    """The forget questions behind a conversation in which questions about other people are answered
    (many-shot jailbreak).

    As its msj_attack.py builds them: the last 100 demonstrations, of each answer the first
    paragraph of what a model wrote.
    """
    turns: list[dict[str, str]] = []
    for c in demonstrations[-DEMONSTRATIONS:]:
        turns += _turns(c)
    rows = []
    for e in forget:
        messages = (*turns, {"role": "user", "content": e.prompt or ""})
        rows.append(
            replace(
                e,
                id=e.id.replace("wpu/", "wpu/attack/", 1),
                role="forget_attack",
                messages=messages,
                variants=EMPTY,
                tags=(*e.tags, f"{SHOTS}{MOST}"),
            )
        )
    return tuple(rows)


def _turns(demonstration: Cells) -> list[dict[str, str]]:
    """The question and the answer of one demonstration."""
    question = demonstration.values.get("question")
    generated = demonstration.values.get("generated")
    if text_fault(question) or text_fault(generated):
        raise Refused(
            f"{demonstration.where}: a demonstration needs the texts question and generated; copy "
            f"the file from {ATTACK}"
        )
    answer = str(generated).split("\n\n")[0].split("[/INST]")[-1].strip()
    return [
        {"role": "user", "content": str(question)},
        {"role": "assistant", "content": answer},
    ]


def _person(row: Mapping[str, Any]) -> Any:
    return row.get("title") or row.get("name") or row.get("entity") or row.get("subject")


def _pages(cells: list[Cells], role: str) -> Examples:
    """The page of every person once: the rows of a person repeat it. () if the rows bring none."""
    pages: dict[Any, Cells] = {}
    for c in reversed(cells):
        if c.values.get("wikipage"):
            pages[_person(c.values)] = c
    if not pages:
        return ()
    prefix = f"wpu/pages/{role}"
    return examples([*pages.values()][::-1], role, prefix, text="wikipage", group=_person)
