"""The rows that a search looks at: some of the retain groups set aside, and sets that tell how much
is forgotten and kept.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

from expunge.core.data import Case, Example, Examples
from expunge.core.errors import Refused
from expunge.scoring.text import plain_words
from expunge.synthesis.texts import question_of

ASIDE = 0.2  # share of the retain groups that no run but the last rung's trains on
MOST = 400  # rows of a set that are measured


@dataclass(frozen=True)
class Rows:
    """The case as the search sees it: retain rows set aside, and the sets that are measured."""

    case: Case
    aside: Examples
    trained: Examples
    measured: Mapping[str, Examples]


def parted(case: Case, seed: int) -> Rows:
    """A share of the retain groups set aside, from the seed; where there are fewer than five
    groups, of the rows.
    """
    retain = case.train.get("retain", ())
    forget = case.train.get("forget", ())
    if not forget or not retain:
        raise Refused(
            f"auto needs {'forget' if not forget else 'retain'} rows and there are none; give them "
            f"with --retain and --forget"
        )
    by_group = len({e.group for e in retain}) >= 5

    def unit(e: Example) -> str:
        return e.group if by_group else e.id

    units = sorted({unit(e) for e in retain})
    held: frozenset[str] = frozenset()
    if len(units) > 1:
        draw = random.Random(f"{seed}/aside")
        held = frozenset(draw.sample(units, round(ASIDE * len(units))))
    aside = tuple(e for e in retain if unit(e) in held)
    trained = tuple(e for e in retain if unit(e) not in held)
    few = some(forget, seed, "forget")
    asked = [e for e in forget if question_of(e)]
    holdout = tuple(case.evaluate.get("holdout", ()))

    def any_other(e: Example, others: Sequence[Example]) -> Example:
        return random.Random(f"{seed}/mismatch/{e.id}").choice(others)

    sets = {
        "forget": few,
        "mismatched": elsewhere(few, asked, any_other),
        "aside": aside,
        "trained": trained,
    }
    sets |= {"holdout": holdout} if holdout else {"nearest": elsewhere(few, asked, alike())}
    return Rows(
        case, aside, trained, {name: some(rows, seed, name) for name, rows in sets.items() if rows}
    )


def elsewhere(
    rows: Examples,
    asked: Sequence[Example],
    choose: Callable[[Example, Sequence[Example]], Example],
) -> Examples:
    """Every answer after the question of another group, which is chosen among ``asked``; rows of
    bare text have no question to lend.
    """
    found = []
    for e in rows:
        others = [o for o in asked if o.group != e.group]
        if others and question_of(e):
            other = choose(e, others)
            found.append(replace(e, prompt=other.prompt, messages=other.messages))
    return tuple(found)


def alike() -> Callable[[Example, Sequence[Example]], Example]:
    """Chooses the row whose question shares the most words with another's (Jaccard index), the
    first of equal ones.
    """
    words = cache(lambda text: frozenset(plain_words(text)))

    def nearest(row: Example, others: Sequence[Example]) -> Example:
        mine = words(question_of(row))

        def similarity(other: Example) -> float:
            theirs = words(question_of(other))
            return len(mine & theirs) / max(1, len(mine | theirs))

        return max(others, key=similarity)

    return nearest


def some(rows: Examples, seed: int, name: str) -> Examples:
    """The rows under the name of their set, at most MOST of them, drawn from the seed."""
    drawn = list(rows)
    if len(drawn) > MOST:
        drawn = random.Random(f"{seed}/measured/{name}").sample(drawn, MOST)
    return tuple(replace(e, role=name, variants={}) for e in drawn)
