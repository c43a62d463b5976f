"""ELUDe: whole entities of Wikipedia to be forgotten, beside their neighbors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from expunge.core.benchmark import Benchmark
from expunge.core.card import Card
from expunge.core.data import Case, Examples
from expunge.core.errors import unknown
from expunge.data.tables import examples, table

card = Card(
    paper="Choi et al. 2025 (Opt-Out)",
    url="https://arxiv.org/abs/2406.12329",
    where="hub data set 6rightjade/ELUDe (CC BY-SA 4.0)",
    family=("real entities", "loader only"),
    evidence="reconstructed",
    differs="Loader only: its rows were never seen here, the columns are those that its code reads "
    "(entity, question, answer, "
    "paraphrased_answer, perturbed_answer). Its world set (Alpaca) is left out. Its code trains "
    "one epoch for plain losses and two with "
    "retain rows, so its methods are not compared at one budget.",
)

Row = Mapping[str, Any]
HUB = "6rightjade/ELUDe"
METRICS = ("probability", "rouge_l_recall", "truth_ratio")
VARIANTS = {"paraphrase": "paraphrased_answer", "perturbed/": "perturbed_answer"}


def elude(split: str = "all", subset: str = "", data: str = "") -> Benchmark:
    """Forget one of 20 people (or all), keep 144 neighbors: probability, truth ratio and ROUGE-L
    as in TOFU.

    split: all, or an entity with _ for the spaces (Donald_Trump).
    subset: validation asks the validation part of the neighbors, else the test part is asked.
    data: a folder with elude/forget_qa-train.parquet and retain_qa-train, -validation, -test;
        without it hub:6rightjade/ELUDe is read.
    """
    if subset not in ("", "validation"):
        raise unknown("subset of elude", subset, ("validation",))
    name = split.replace("_", " ")
    part = subset or "test"
    forget = table(data, "elude", ("forget_qa-train", "forget_qa"), f"hub:{HUB}:forget_qa@train")
    entities = sorted({str(c.values.get("entity")) for c in forget})
    if split != "all" and name not in entities:
        raise unknown("entity of elude", name, ["all", *entities])

    def mine(row: Row) -> bool:
        return split == "all" or row.get("entity") == name

    own = examples(forget, "forget", "elude/forget", group="entity", variants=VARIANTS, keep=mine)
    if split != "all":
        # one entity: its questions are what is resampled
        own = tuple(replace(e, group=e.id) for e in own)
    kept: dict[str, Examples] = {}
    for side in ("train", part):
        cells = table(data, "elude", (f"retain_qa-{side}",), f"hub:{HUB}:retain_qa@{side}")
        kept[side] = examples(
            cells, "retain", f"elude/{side}", group=_unit, variants=VARIANTS, keep=mine
        )
    case = Case(
        {"full": (*kept["train"], *own), "forget": own, "retain": kept["train"]},
        {"forget": own, "retain": kept[part]},
    )
    metrics = [(m, role) for role in ("forget", "retain") for m in METRICS]
    return Benchmark("elude", case, metrics, generate={"max_new_tokens": 128})


def _unit(row: Row) -> Any:
    """What a row to keep is about."""
    return row.get("neighbor") or row.get("title") or row.get("entity")
