"""DUSK: invented professors written up in five styles; one style must go, but what it shares with
the others must stay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import product
from typing import Any

from expunge.core.benchmark import Benchmark
from expunge.core.card import Card
from expunge.core.data import Case, Example, Examples
from expunge.core.errors import Refused, unknown
from expunge.data.columns import BARE, LITERAL, UNENDED
from expunge.data.files import Cells, text_of
from expunge.data.overlap import unseen
from expunge.data.tables import examples, place_of, table

card = Card(
    paper="Jeung et al. 2025",
    url="https://arxiv.org/abs/2505.15209",
    where="hub data set AI-ISL/DUSK (MIT); github.com/AI-ISL/DUSK, data/Prof",
    family=("shared knowledge", "invented people"),
    evidence="oracle",
    differs="Prompts, the stops of an answer and ROUGE without a stemmer are the official code's. "
    "Its cosine of the verbatim part, "
    "clipped at 0 there, is semantic_similarity and needs --encoder. PrivLeak is on whole "
    "documents.",
)

PLACE = "github.com/AI-ISL/DUSK (folder data; on the hub they are AI-ISL/DUSK)"
# the first is forgotten
STYLES = ("Chronological", "Interview", "Feature_Story", "Inverted_Pyramid", "Listicle")
QUESTIONS = {
    "retain_shared": "GeneralQA",
    "forget_specific": "SpecificForgetQA",
    "retain_specific": "SpecificRetainQA",
}
# the official code cuts its files every so many tokens: no document has an end token
PASSAGE = (UNENDED,)
STOPS = ("\n\n", "\nQuestion", "Question:")


def dusk(split: str = "Prof", data: str = "", holdout: str = "") -> Benchmark:
    """Forget the chronological biographies; facts that only they tell must go, facts that other
    styles tell as well must stay.

    split: Prof, the only domain.
    data: a folder with dusk/Prof/Chronological.txt and its siblings, eval/ below them.
    holdout: not needed; the benchmark brings documents that no model saw.
    """
    if split != "Prof":
        raise unknown("split of dusk", split, ("Prof",))

    def rows(name: str) -> list[Cells]:
        return table(data, "dusk", (f"{split}/eval/{name}", f"eval/{name}"), PLACE)

    prompt = partial(_few_shot, rows("icl"))
    asked: dict[str, Examples] = {}
    for role, name in QUESTIONS.items():
        prefix = f"dusk/{name}"
        asked[role] = examples(rows(name), role, prefix, prompt=prompt, tags=(LITERAL, BARE))
    asked["forget_verbatim"] = examples(
        rows("verbatim"),
        "forget_verbatim",
        "dusk/verbatim",
        prompt="prompt",
        answer="gt",
        tags=(LITERAL, BARE, UNENDED),
    )
    retain: list[Example] = []
    train = {"forget": documents(data, split, STYLES[0], "forget")}
    for style in STYLES[1:]:
        retain += documents(data, split, style, "retain")
    train["retain"] = tuple(retain)
    asked["forget"] = train["forget"]
    asked["holdout"] = documents(data, split, "eval/holdout", "holdout")
    unseen(asked["holdout"], [*train["forget"], *train["retain"]])
    return Benchmark(
        "dusk",
        Case({"full": (*train["retain"], *train["forget"]), **train}, asked),
        METRICS,
        arguments={
            "rouge_l_f1": {"until": STOPS},
            "rouge_l_recall": {"until": STOPS, "stemmer": False},
            "forget_verbatim/rouge_l_f1": {"until": ()},
        },
        generate={
            "max_new_tokens": 32,
            "roles": {"forget_verbatim": 128},
            "cut": ("forget_verbatim",),
            "max_length": 4096,
        },
    )


VERBATIM = ("rouge_l_f1", "semantic_similarity", "common_words", "edit_similarity")
METRICS: tuple[tuple[str, str | None], ...] = (
    *product(("rouge_l_f1", "rouge_l_recall"), ("retain_shared",)),
    *product(("rouge_l_f1", "rouge_l_recall"), ("forget_specific",)),
    *product(("rouge_l_f1", "rouge_l_recall"), ("retain_specific",)),
    *product(VERBATIM, ("forget_verbatim",)),
    ("mia_loss", None),
    ("mia_min_k", None),
    ("privleak", None),
)


def documents(data: str, split: str, name: str, role: str) -> Examples:
    """The documents of a file of one style: each begins with a line "Title:"."""
    path = place_of(data, "dusk", (f"{split}/{name}", name), PLACE, (".txt", ".txt.gz"))
    if path is None:
        raise Refused(
            f"dusk: its documents are text files; copy them from {PLACE} and give --data, a folder "
            f"with dusk/{split}/{name}.txt"
        )
    rows: list[Example] = []
    for i, (line, text) in enumerate(_split_at_titles(text_of(path))):
        if text:
            id = f"dusk/{name}/{i}"
            rows.append(Example(id, role, id, text=text, source=f"{path}:{line}", tags=PASSAGE))
    if not rows:
        raise Refused(f"{path}:1: no documents in this file; copy it again from {PLACE}")
    return tuple(rows)


def _split_at_titles(text: str) -> list[tuple[int, str]]:
    """(number of its first line, text) of every document."""
    found: list[tuple[int, list[str]]] = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("Title:") or not found:
            found.append((number, []))
        found[-1][1].append(line)
    return [(number, "\n".join(lines).strip()) for number, lines in found]


def _few_shot(shots: Sequence[Cells], row: Mapping[str, Any]) -> str:
    solved = "".join(
        f"Question: {c.values['question']}\nAnswer: {c.values['answer']}\n\n" for c in shots
    )
    return f"{solved}Question: {row['question']}\nAnswer: "
