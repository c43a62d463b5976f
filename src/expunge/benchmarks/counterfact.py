"""CounterFact: facts of one line, each with a paraphrase and a neighbor that must not change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from expunge.core.benchmark import Benchmark
from expunge.core.card import Card
from expunge.core.data import Case, Examples
from expunge.core.errors import Refused
from expunge.data.columns import BARE, LITERAL
from expunge.data.tables import examples, table

card = Card(
    paper="Meng et al. 2022 (ROME); Yao et al. 2023 (EasyEdit's flat form)",
    url="https://arxiv.org/abs/2202.05262",
    where="efficacy, paraphrase and neighborhood scores; rows of ROME and EasyEdit (MIT)",
    family=("editing", "locality"),
    evidence="oracle",
    differs="Built for editing: here the true fact is what must go. Real rows seen: the first "
    "2,000 of EasyEdit's flat form, one "
    "neighbor a row where ROME has ten; the hub id zjunlp/KnowEdit is from memory.",
)

HUB = "hub:azhx/counterfact@train"
FEWEST = 10


def counterfact(split: str = "100", data: str = "") -> Benchmark:
    """Forget the first facts of the file, keep as many that follow; asked as they stand,
    paraphrased, and of a neighbor.

    split: how many facts are forgotten (at least 10).
    data: a folder with counterfact/counterfact-edit.jsonl (or .first2000.jsonl); without it the
        rows come from hub:azhx/counterfact.
    """
    if not split.isdigit() or int(split) < FEWEST:
        raise Refused(
            f"counterfact:{split}: the split is how many facts to forget, a whole number of at "
            f"least {FEWEST}"
        )
    n = int(split)
    cells = table(
        data, "counterfact", ("counterfact-edit", "counterfact-edit.first2000", "counterfact"), HUB
    )
    if len(cells) < 2 * n:
        raise Refused(
            f"counterfact: {len(cells)} rows are too few to forget {n} and keep {n}; take at most "
            f"{len(cells) // 2}"
        )
    forget, retain = cells[:n], cells[n : 2 * n]
    tags = (LITERAL, BARE)

    def rows(part: list, role: str, prompt: str, right: str, wrong: str) -> Examples:
        return examples(
            part,
            role,
            f"counterfact/{prompt}/{role}",
            prompt=lambda row: _flat(row)[prompt].strip(),
            answer=lambda row: " " + _flat(row)[right].strip(),
            group=lambda row: _flat(row)["subject"],
            variants={"perturbed/": lambda row: " " + _flat(row)[wrong].strip()},
            tags=tags,
        )

    asked = {
        "forget": rows(forget, "forget", "prompt", "ground_truth", "target_new"),
        "forget_paraphrased": rows(
            forget, "forget_paraphrased", "rephrase_prompt", "ground_truth", "target_new"
        ),
        "locality": rows(
            forget, "locality", "locality_prompt", "locality_ground_truth", "target_new"
        ),
        "retain": rows(retain, "retain", "prompt", "ground_truth", "target_new"),
    }
    train = {
        "forget": asked["forget"],
        "retain": asked["retain"],
        "full": (*asked["retain"], *asked["forget"]),
    }
    metrics = [
        (m, role)
        for role in asked
        for m in ("preference_accuracy", "probability", "exact_memorization")
    ]
    return Benchmark("counterfact", Case(train, asked), metrics, generate={"max_new_tokens": 16})


def _flat(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """EasyEdit's flat columns, also of ROME's nested ones."""
    if "requested_rewrite" not in row:
        return row
    asked = row["requested_rewrite"]
    return {
        "prompt": asked["prompt"].format(asked["subject"]),
        "subject": asked["subject"],
        "ground_truth": asked["target_true"]["str"],
        "target_new": asked["target_new"]["str"],
        "rephrase_prompt": row["paraphrase_prompts"][0],
        "locality_prompt": row["neighborhood_prompts"][0],
        "locality_ground_truth": asked["target_true"]["str"],
    }
