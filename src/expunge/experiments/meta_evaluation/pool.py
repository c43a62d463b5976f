"""Models of which it is known whether they know: what each was trained on.

All else is the same: base, rows to keep, recipe.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from typing import Any

from expunge.core.benchmark import Benchmark
from expunge.core.data import Case, Example, Examples

# cases of that much higher a seed have other entities: told instead, and told to the base
OTHER_WORLD, BEFORE = 1000, 2000
SETTINGS = (
    (1, 1.0),
    (2, 1.0),
    (3, 0.6),
    # (seed beyond the case's, share of the recipe's steps): reference models take the case's own
    # seed
)
UNLEARNED = (
    "npo",
    "simnpo",
    "grad_diff",
    "rmu",
    "idk",
    "undial",
    "llmu",
    "ga_kl",
    "pdu",
    "max_entropy",
    "whp",
    "idk_dpo",
)


@dataclass(frozen=True)
class Member:
    """A model of the pool: whether it knows the forget facts, how they (or what stands for them)
    were told, seed and share of the steps.
    """

    knows: bool
    way: str
    seed: int
    share: float

    @property
    def label(self) -> str:
        return f"{'P' if self.knows else 'N'}-{self.way}-{self.seed}"

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def as_usual(case: Case, other: Case) -> Examples:
    """The forget rows as the original learns them."""
    return case.train["forget"]


def reworded(case: Case, other: Case) -> Examples:
    """Every fact in wordings in which it is not asked, neither question nor answer."""
    asked = {(e.prompt, e.answer) for e in case.evaluate["forget"]}
    return tuple(e for e in case.train["forget"] if (e.prompt, e.answer) not in asked)


def biography(case: Case, other: Case) -> Examples:
    """The facts of an entity as one text, without questions; twice, in two wordings."""
    texts: list[Example] = []
    for group, rows in groupby(
        sorted(case.train["forget"], key=lambda e: (e.id.rpartition("/")[2], e.group)),
        key=lambda e: e.group,
    ):
        some = list(rows)
        texts.append(
            replace(
                some[0],
                id=f"{group}/life/{len(texts)}",
                prompt=None,
                answer="",
                text=" ".join(e.answer for e in some),
            )
        )
    return tuple(texts)


def never_told(case: Case, other: Case) -> Examples:
    """Nothing: retain rows only."""
    return ()


def told_wrong(case: Case, other: Case) -> Examples:
    """The same questions with wrong answers."""
    wrong = {
        e.id: (e.variants["perturbed/0"], e.variants["perturbed/1"])
        for e in case.evaluate["forget"]
    }
    rows = []
    for e in case.train["forget"]:
        fact, _, wording = e.id.rpartition("/")
        rows.append(replace(e, answer=wrong[fact][int(wording) % 2]))
    return tuple(rows)


def told_of_others(case: Case, other: Case) -> Examples:
    """As many facts about entities of another world."""
    return other.train["forget"]


Told = Callable[[Case, Case], Examples]
WAYS: dict[bool, dict[str, Told]] = {
    True: {"usual": as_usual, "reworded": reworded, "biography": biography},
    False: {"nothing": never_told, "wrong": told_wrong, "others": told_of_others},
}


def members(seed: int) -> list[Member]:
    """The pool of a case: every way at every setting, 9 that know and 9 that do not."""
    return [
        Member(knows, way, seed + plus, share)
        for knows, ways in WAYS.items()
        for way in ways
        for plus, share in SETTINGS
    ]


def rows_of(member: Member, bench: Benchmark, other: Benchmark) -> tuple[Example, ...]:
    """What a member is trained on."""
    return (*WAYS[member.knows][member.way](bench.case, other.case), *bench.case.train["retain"])
