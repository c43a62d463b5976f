"""KnowUnDo: of the same sources some knowledge must go and some may stay; both are asked."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from expunge.benchmarks._choices import ASKED, LONGEST, questions, topic
from expunge.core.benchmark import Benchmark
from expunge.core.card import Card
from expunge.core.data import Case, Examples
from expunge.core.errors import unknown
from expunge.data.files import Cells
from expunge.data.tables import examples, table

card = Card(
    paper="Tian et al. 2024",
    url="https://arxiv.org/abs/2407.01920",
    where="unlearn and retention scope; hub data set zjunlp/KnowUnDo (MIT)",
    family=("question answering", "privacy", "copyright"),
    # its memorizing recipe: LoRA rank 8, lr 1e-4, 10 epochs, batch 2 x 16
    settings={"knowundo": {"lr": 1e-4, "epochs": 10, "batch": 2, "accumulate": 16, "lora": 8}},
    evidence="oracle",
    differs="Real rows seen: privacy; copyright is loader only. The rows name no person in a "
    "column; here a row belongs to the name of two "
    "capitalised words in it that the file mentions most. Its perplexity is the exponential of the "
    "mean over rows of their mean losses "
    "(perplexity by='rows'), its success counts the tokens that are the likeliest; its model ran "
    "in bfloat16, which rounds the ids that "
    "it compares. Of general abilities MMLU can be asked (--subset mmlu); the paper's other "
    "general tasks cannot, nor its prompt "
    "that tells a model not to answer (direct_prompt).",
)

HUB = "zjunlp/KnowUnDo"
DOMAINS = ("privacy", "copyright")
SUBSETS = ("", "mmlu")
SIDES = {"forget": "unlearn", "retain": "retention"}
NAME = re.compile(r"\b[A-Z][\w’'-]*[a-z] (?:de |van |von |la )?[A-Z][\w-]*[a-z]\b")
METRICS = ("exact_memorization", "perplexity", "rouge_l_recall")
SUCCESS = {
    "forget": "unlearn_success",
    "forget_trained": "unlearn_success",
    "retain": "retention_success",
}


def knowundo(split: str = "privacy", subset: str = "", data: str = "") -> Benchmark:
    """Forget the unlearn scope, keep the retention scope, both about the same people (privacy) or
    books (copyright).

    split: privacy or copyright.
    subset: mmlu asks MMLU beside, for general abilities.
    data: a folder with knowundo/privacy/unlearn_train.json and its siblings (and mmlu/test.json);
        without it the rows come from hub:zjunlp/KnowUnDo.
    """
    if split not in DOMAINS:
        raise unknown("split of knowundo", split, DOMAINS)
    if subset not in SUBSETS:
        raise unknown("subset of knowundo", subset, SUBSETS[1:])
    sides: dict[str, Examples] = {}
    for side in SIDES.values():
        for part in ("train", "val"):
            sides[f"{side}_{part}"] = _side(data, split, side, part)
    prompts: list[str] = []
    for rows in sides.values():
        prompts += [e.prompt or "" for e in rows]
    owner = owners(prompts)
    train: dict[str, Examples] = {}
    asked: dict[str, Examples] = {}
    for role, side in SIDES.items():
        train[role] = _as_role(sides[f"{side}_train"], role, owner)
        asked[role] = _as_role(sides[f"{side}_val"], role, owner)
    asked["forget_trained"] = tuple(replace(e, role="forget_trained") for e in train["forget"])
    full = (*train["retain"], *train["forget"], *asked["retain"], *asked["forget"])
    metrics = [(m, role) for role in asked for m in (SUCCESS[role], *METRICS)]
    if subset:
        general = table(data, "mmlu", ("test", "all/test"), "hub:cais/mmlu:all@test")
        asked["mmlu"] = questions(general, "mmlu", "mmlu", subject=topic)
        metrics += [(metric, "mmlu") for metric in ASKED]
    return Benchmark(
        "knowundo",
        Case({"full": full, **train}, asked),
        metrics,
        arguments={"perplexity": {"by": "rows"}},
        settings=card.settings["knowundo"],
        generate={"max_new_tokens": 128, "max_length": LONGEST if subset else 0},
    )


def _side(data: str, split: str, side: str, part: str) -> Examples:
    """The rows of one scope, for training or for evaluation."""
    name = f"{side}_{part}"
    cells = table(data, "knowundo", (f"{split}/{name}",), f"hub:{HUB}:{split}@{side}")
    prefix = f"knowundo/{split}/{name}"
    return examples(_unfolded(cells, part), "", prefix, prompt="text", answer="labels")


def _as_role(rows: Examples, role: str, owner: Mapping[str, str]) -> Examples:
    """The rows in a role, grouped by the person that they are about."""
    return tuple(replace(e, role=role, group=owner.get(e.prompt or "", e.id)) for e in rows)


def _unfolded(cells: list[Cells], part: str) -> list[Cells]:
    """On the hub a split is one row that holds the lists train and val; in a folder each is a
    file.
    """
    if len(cells) != 1 or not isinstance(cells[0].values.get(part), list):
        return cells
    rows = cells[0].values[part]
    return [Cells(f"{cells[0].where}:{i}", row) for i, row in enumerate(rows, 1)]


def owners(questions: Sequence[str]) -> dict[str, str]:
    """question -> the name in it that occurs in most questions; questions without a name are left
    out.
    """
    names = {q: set(NAME.findall(q.replace("'s", ""))) for q in questions}
    counts: Counter[str] = Counter()
    for found in names.values():
        counts.update(found)
    owner: dict[str, str] = {}
    for question, found in names.items():
        if found:
            owner[question] = max(sorted(found), key=counts.__getitem__)
    return owner
