"""Successive halving: some candidates for a few steps, the better third for three times as many,
the best for what is left of the budget.

Pure: a candidate is anything that has a key, a result is a score with what it cost. A third of the
    budget goes to the search, in equal shares to its rungs; the last rung gets the rest, since it
    makes the result: nothing is trained again. Every rung starts anew from the original, so that
    each run is a whole one with its own schedule. After Jamieson and Talwalkar 2016
    (https://arxiv.org/abs/1502.07943), section 3, where all rungs get the same: on the built-in
    case (seeds 3 to 5) the last run then was too short to bring back what is kept.

A short run is no short form of a long one: what forgets fast is not what ends best. On those seeds
the score after 60 steps told what works from what does not, but which of the good methods 180 steps
would make the best it did not tell (results/prior.md); shorter runs told less. So first runs have
60 steps, and where the budget has no room for two of them nothing is compared: the first candidate
gets all steps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

ETA = 3
SEARCH = 3  # one part in so many of the budget is for choosing
FEWEST = 60  # steps of a run that is compared


class Keyed(Protocol):
    """What can be chosen: ``key`` tells it from the others, in order of preference where scores are
    equal.
    """

    @property
    def key(self) -> str: ...


K = TypeVar("K", bound=Keyed)


@dataclass(frozen=True)
class Rung:
    """``width`` candidates, ``steps`` for each."""

    steps: int
    width: int

    @property
    def cost(self) -> int:
        return self.steps * self.width


@dataclass(frozen=True)
class Result:
    """One candidate at one rung: what it cost, and its score (None: it broke, and ``reason`` says
    how). ``parts``: what the score is of.
    """

    key: str
    rung: int
    asked: int
    steps: int
    score: float | None
    parts: dict[str, Any]
    seconds: float = 0.0
    reason: str = ""


@dataclass(frozen=True)
class Outcome:
    """Every result in the order of the runs, the best of the last rung, and the keys that the
    budget did not reach.
    """

    results: tuple[Result, ...]
    best: Result | None
    unreached: tuple[str, ...]

    @property
    def steps(self) -> int:
        """Optimizer steps of the whole search, the result's own among them."""
        return sum(r.steps for r in self.results)


def rungs(total: int, candidates: int, *, eta: int = ETA, fewest: int = FEWEST) -> tuple[Rung, ...]:
    """As many rungs of search as leave ``fewest`` steps to each run of the first; one candidate
    reaches the last rung.

    Where a third of the budget is not enough for ``eta`` candidates, as many as it is enough for;
    if that is one, there is no search.

    >>> rungs(3600, 100)
    (Rung(steps=66, width=9), Rung(steps=200, width=3), Rung(steps=2406, width=1))
    """
    if total < 1 or candidates < 1:
        return ()
    searched = total // SEARCH
    n = 0
    while searched // ((n + 1) * eta ** (n + 1)) >= fewest and eta**n < candidates:
        n += 1
    widths = [min(candidates, eta ** (n - i)) for i in range(n)]
    narrow = min(candidates, searched // fewest)
    if not widths and narrow > 1:
        widths = [narrow]
    found = [Rung(searched // (len(widths) * w), w) for w in widths]
    return (*found, Rung(total - sum(r.cost for r in found), 1))


def fitting(cost: Callable[[int], int], share: int) -> int:
    """The most steps to ask for so that a method of several stages spends no more than ``share``; 1
    if even that spends more.

    ``cost(steps)`` never falls.
    """
    low = 1
    high = max(1, share)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if cost(middle) <= share else (low, middle - 1)
    return low


def halve(
    candidates: Sequence[K],
    plan: Sequence[Rung],
    *,
    cost: Callable[[K, int], int],
    run: Callable[[K, int, int], Result],
    left: Callable[[Sequence[Result]], int],
) -> Outcome:
    """Carry the rungs out.

    ``run(candidate, rung, steps)`` measures one, or finds what was kept of it; ``left(results)``
    steps remain.

    What one rung did not spend, the next may. A candidate that would overspend its rung is passed
    over; what breaks is out. Candidates of the first rung are taken in order until its places or
    its steps are gone.
    """
    results: list[Result] = []
    alive = list(candidates)
    reached = set[str]()
    for i, rung in enumerate(plan):
        final = i == len(plan) - 1
        purse = left(results) * rung.cost // sum(r.cost for r in plan[i:])
        here: list[Result] = []
        for k in alive:
            places = min(rung.width, len(alive)) - len(here)
            if not places:
                break
            if final:
                share = purse // places
            else:
                share = min(purse // places, rung.steps)
            asked = fitting(lambda steps, k=k: cost(k, steps), share)  # type: ignore[misc]
            if cost(k, asked) <= purse:
                here.append(run(k, i, asked))
                purse -= here[-1].steps
                reached.add(k.key)
        results += here
        by_key = {k.key: k for k in alive}
        alive = [by_key[r.key] for r in ranked(here)]
        if not alive:
            break
    unreached = tuple(k.key for k in candidates if k.key not in reached)
    return Outcome(tuple(results), best_of(results), unreached)


def ranked(results: Sequence[Result]) -> list[Result]:
    """Those with a score, best first; equal ones stay in their order."""
    return sorted((r for r in results if r.score is not None), key=lambda r: -(r.score or 0.0))


def best_of(results: Sequence[Result]) -> Result | None:
    """The best of the last rung in which anything had a score."""
    scored = [r for r in results if r.score is not None]
    top = max((r.rung for r in scored), default=-1)
    return next(iter(ranked([r for r in scored if r.rung == top])), None)
