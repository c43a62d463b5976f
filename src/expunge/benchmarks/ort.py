"""ORT: one fact in several forms; what was unlearned in one form must be gone in all."""

from __future__ import annotations

from expunge.core.benchmark import Benchmark
from expunge.core.card import Card
from expunge.core.data import Case
from expunge.core.errors import unknown
from expunge.data.tables import examples, table

card = Card(
    paper="Ye et al. 2025",
    url="https://arxiv.org/abs/2506.07795",
    where="form-dependent bias",
    family=("robustness", "loader only"),
    evidence="reconstructed",
    differs="Loader only: neither its code nor its rows were seen, no hub id is known. The columns "
    "(fact, form, question, answer) are "
    "ours; any data with several questions about one fact can be brought so.",
)

PLACE = "the authors (arXiv 2506.07795 names no data set)"


def ort(split: str = "qa", data: str = "") -> Benchmark:
    """Unlearn facts in one form and ask all forms; the gap is the form dependence.

    split: the form that is unlearned (a value of the column form).
    data: a folder with ort/forget.json and ort/retain.json: rows {fact, form, question, answer},
        one line for each form of a fact.
    """
    cells = {side: table(data, "ort", (side,), PLACE) for side in ("forget", "retain")}
    forms = list(dict.fromkeys(str(c.values.get("form")) for c in cells["forget"]))
    if split not in forms:
        raise unknown("form of ort", split, forms)
    forms.sort(key=lambda f: f != split)  # the form that is unlearned comes first
    roles = tuple("forget_" + f for f in forms)

    def of(side: str, role: str, form: str) -> tuple:
        return examples(
            cells[side],
            role,
            f"ort/{side}",
            group="fact",
            keep=lambda row: not form or str(row.get("form")) == form,
        )

    asked = {role: of("forget", role, form) for role, form in zip(roles, forms, strict=True)} | {
        "retain": of("retain", "retain", "")
    }
    train = {
        "forget": of("forget", "forget", split),
        "retain": asked["retain"],
        "full": (*asked["retain"], *of("forget", "forget", "")),
    }
    metrics = [
        *((m, role) for role in asked for m in ("rouge_l_recall", "probability")),
        ("form_dependence", None),
    ]
    return Benchmark(
        "ort",
        Case(train, asked),
        metrics,
        {"form_dependence": {"roles": roles}},
        generate={"max_new_tokens": 64},
    )
