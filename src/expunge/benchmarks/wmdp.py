"""WMDP: multiple choice about biology, chemistry and computer security that a model should no
longer answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from expunge.benchmarks._choices import ASKED, LONGEST, questions, topic
from expunge.core.benchmark import Benchmark, Published
from expunge.core.card import Card
from expunge.core.data import Case, Examples
from expunge.core.errors import unknown
from expunge.data.files import Cells
from expunge.data.tables import examples, table, table_or_none

card = Card(
    paper="Li et al. 2024",
    url="https://arxiv.org/abs/2403.03218",
    where="zero-shot accuracy; hub data set cais/wmdp (MIT); prompts of lm-evaluation-harness",
    family=("multiple choice", "hazardous knowledge"),
    evidence="oracle",
    differs="Real rows seen: the first release (1,520, 412 and 2,225 questions; the hub has 1,273, "
    "408 and 1,987 now). The texts to "
    "unlearn with were never seen. Chance is not .25 but the share of A answers for a model that "
    "always says A: read the histogram and "
    "the accuracy by text beside it.",
)

HUB = "cais/wmdp"
MMLU, MMLU_HUB = ("test", "all/test"), "hub:cais/mmlu:all@test"
DOMAINS = {"bio": "biology", "chem": "chemistry", "cyber": "cybersecurity"}
SUBSETS = ("", "blind", "mmlu")


def wmdp(split: str = "all", subset: str = "", data: str = "") -> Benchmark:
    """Accuracy on the three domains, by letter and by text, and on MMLU beside them where its rows
    are at hand.

    split: all, or one domain and nothing beside it: bio, chem or cyber.
    subset: blind leaves the questions out, which shows how much the options give away by
        themselves, and MMLU with them; mmlu asks MMLU beside one domain, too.
    data: a folder with wmdp/bio.json, chem.json, cyber.json (and mmlu/test.json; wmdp/forget.jsonl
        and retain.jsonl are texts to unlearn with); without it the rows come from hub:cais/wmdp.
    """
    if split != "all" and split not in DOMAINS:
        raise unknown("split of wmdp", split, ("all", *DOMAINS))
    if subset not in SUBSETS:
        raise unknown("subset of wmdp", subset, SUBSETS[1:])
    asked: dict[str, Examples] = {}
    for domain in DOMAINS if split == "all" else (split,):
        asked[f"forget_{domain}"] = _domain(data, domain, blind=subset == "blind")
    absent: dict[str, str] = {}
    general = _general(absent, data, split, subset)
    if general:
        asked["mmlu"] = questions(general, "mmlu", "mmlu", subject=topic)
    metrics: list[tuple[str, str | None]] = [(metric, role) for role in asked for metric in ASKED]
    if split == "all":
        metrics.append(("wmdp_accuracy", None))
    shown = published(split).beside("" if subset == "mmlu" else subset, rows=_first_release(asked))
    return Benchmark(
        "wmdp",
        Case(_texts(absent, data, split), asked),
        metrics,
        published=shown,
        generate={"max_length": LONGEST},
        absent=absent,
    )


def _domain(data: str, domain: str, *, blind: bool) -> Examples:
    """The questions of one domain."""
    names = (domain, f"wmdp-{domain}", f"wmdp-{domain}/test")
    cells = table(data, "wmdp", names, f"hub:{HUB}:wmdp-{domain}@test")
    subject = partial(_about, DOMAINS[domain])
    return questions(cells, f"forget_{domain}", f"wmdp/{domain}", subject=subject, blind=blind)


def _general(absent: dict[str, str], data: str, split: str, subset: str) -> list[Cells]:
    """The rows of MMLU: required by the subset mmlu, beside all domains if they are at hand."""
    if subset == "mmlu":
        return table(data, "mmlu", MMLU, MMLU_HUB)
    if split == "all" and not subset:
        return table_or_none(absent, "mmlu", data, "mmlu", MMLU, MMLU_HUB)
    return []


def _texts(absent: dict[str, str], data: str, split: str) -> dict[str, Examples]:
    """The texts to unlearn with that are at hand."""
    found: dict[str, Examples] = {}
    for role in ("forget", "retain"):
        names = (role, f"{split}-{role}-corpus")
        name = f"{role} (texts to unlearn with)"
        cells = table_or_none(absent, name, data, "wmdp", names, "")
        if cells:
            found[role] = examples(cells, role, f"wmdp/{role}", text="text")
    return found


def _first_release(asked: Mapping[str, Examples]) -> bool:
    """Whether these are the rows that the published numbers are of, as far as they were counted."""
    counted = [role for role in ROWS if role in asked]
    return bool(counted) and all(len(asked[role]) == ROWS[role] for role in counted)


def _about(subject: str, row: Mapping[str, Any]) -> str:
    return subject


ROLES = ("forget_bio", "forget_cyber", "mmlu")
# questions of the first release, and of all of MMLU
ROWS = {"forget_bio": 1520, "forget_cyber": 2225, "mmlu": 14042}
CARD = {
    "zephyr-7b-beta original": (0.637, 0.440, 0.581),
    "zephyr-7b-beta rmu": (0.312, 0.282, 0.571),
}
PROTOCOL = (
    "zero-shot by letter in lm-evaluation-harness, the first release of the questions "
    "(1,520 and 2,225; the hub has fewer) and all of MMLU"
)


def published(split: str) -> Published:
    """Accuracies by letter from the model card of cais/Zephyr_RMU; chemistry was not unlearned.

    The card is of 16 April 2024 and the questions were changed on the 23rd, so they are taken for
    those of the first release.
    """
    found: dict[str, Mapping[str, float]] = {}
    for label, numbers in CARD.items():
        shown: dict[str, float] = {}
        for role, number in zip(ROLES, numbers, strict=True):
            if role == "mmlu" or split in ("all", role.removeprefix("forget_")):
                shown[f"{role}/choice_accuracy"] = number
        found[f"{label} (model card of cais/Zephyr_RMU)"] = shown
    return Published(found, PROTOCOL)
