"""The search on a real model: every candidate trained from the original, measured, its result kept; the last rung's best model stays."""

from __future__ import annotations

import json
import random
import shutil
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path
from statistics import fmean

import numpy as np

from expunge import catalogue
from expunge.choosing.candidates import Candidate, drawn, in_order, scale_for, tunable
from expunge.choosing.halving import FEWEST, Outcome, Result, Rung, halve, rungs
from expunge.choosing.scoring import Floor, Seen, score
from expunge.core.errors import Failed, Refused
from expunge.core.files import write_json
from expunge.core.types import Call, Case, Descent, Example, Examples, Method, Row, Stage, stages
from expunge.data.encode import encode
from expunge.engine.change import change, check, steps_of
from expunge.engine.judge import want_of
from expunge.engine.measure import measure
from expunge.engine.plan import Training
from expunge.maths.texts import plain_words
from expunge.models.load import load
from expunge.models.save import save
from expunge.models.subject import Subject
from expunge.prepare.texts import question_of
from expunge.settings import judge as judge_of
from expunge.streams import Given, check_rows, relabelled, rows_for

KEPT = ("aside", "trained")
ASIDE = 0.2  # share of the retain groups that no run but the last rung's trains on
MOST = 400  # rows of a set that are measured
BATCH = 16
MARGIN = 0.95  # of the minutes: what is left for saving and for a run that is slower than the others


@dataclass(frozen=True)
class Budget:
    """Optimizer steps, or minutes of training and measuring; the search is included."""

    steps: int | None = None
    minutes: float | None = None

    @property
    def words(self) -> str:
        """480 steps; 5 minutes."""
        return f"{self.steps} steps" if self.steps is not None else f"{self.minutes:g} minutes"

    def left(self, results: Sequence[Result]) -> int:
        """Steps that remain; of minutes, as many as fit at the speed of the results."""
        if self.steps is not None:
            return self.steps - sum(r.steps for r in results)
        spent = sum(r.seconds for r in results)
        rate = spent / max(1, sum(r.steps for r in results))
        return max(0, int(((self.minutes or 0.0) * 60 - spent) * MARGIN / rate)) if rate > 0 else 0


@dataclass(frozen=True)
class Rows:
    """The case as the search sees it: retain rows set aside, and the sets that are measured."""

    case: Case
    aside: Examples
    trained: Examples
    measured: Mapping[str, Examples]


def parted(case: Case, seed: int) -> Rows:
    """A share of the retain groups set aside, from the seed; where there are fewer than five groups, of the rows."""
    retain, forget = case.train.get("retain", ()), case.train.get("forget", ())
    if not forget or not retain:
        raise Refused(f"auto needs {'forget' if not forget else 'retain'} rows and there are none; give them with --retain and --forget")
    unit: Callable[[Example], str] = (lambda e: e.group) if len({e.group for e in retain}) >= 5 else (lambda e: e.id)
    units = sorted({unit(e) for e in retain})
    held = frozenset(random.Random(f"{seed}/aside").sample(units, round(ASIDE * len(units)))) if len(units) > 1 else frozenset()
    aside = tuple(e for e in retain if unit(e) in held)
    trained = tuple(e for e in retain if unit(e) not in held)
    few, asked = some(forget, seed, "forget"), [e for e in forget if question_of(e)]
    holdout = tuple(case.evaluate.get("holdout", ()))
    any_other = lambda e, others: random.Random(f"{seed}/mismatch/{e.id}").choice(others)
    sets = {"forget": few, "mismatched": elsewhere(few, asked, any_other), "aside": aside, "trained": trained}
    sets |= {"holdout": holdout} if holdout else {"nearest": elsewhere(few, asked, alike())}
    return Rows(case, aside, trained, {name: some(rows, seed, name) for name, rows in sets.items() if rows})


def elsewhere(rows: Examples, asked: Sequence[Example], choose: Callable[[Example, Sequence[Example]], Example]) -> Examples:
    """Every answer after the question of another group, which is chosen among ``asked``; rows of bare text have no question to lend."""
    found = []
    for e in rows:
        others = [o for o in asked if o.group != e.group]
        if others and question_of(e):
            other = choose(e, others)
            found.append(replace(e, prompt=other.prompt, messages=other.messages))
    return tuple(found)


def alike() -> Callable[[Example, Sequence[Example]], Example]:
    """Chooses the row whose question shares the most words with another's (Jaccard index), the first of equal ones."""
    words = cache(lambda text: frozenset(plain_words(text)))

    def nearest(row: Example, others: Sequence[Example]) -> Example:
        mine = words(question_of(row))
        shared = lambda theirs: len(mine & theirs) / max(1, len(mine | theirs))
        return max(others, key=lambda o: shared(words(question_of(o))))

    return nearest


def some(rows: Examples, seed: int, name: str) -> Examples:
    """The rows under the name of their set, at most MOST of them, drawn from the seed."""
    drawn_ = list(rows) if len(rows) <= MOST else random.Random(f"{seed}/measured/{name}").sample(list(rows), MOST)
    return tuple(replace(e, role=name, variants={}) for e in drawn_)


@dataclass
class Search:
    """One search in a folder. ``results`` of a killed one are found there again."""

    source: Subject
    case: Case
    given: Given
    out: Path
    budget: Budget
    seed: int = 0
    batch: int | None = None
    lora: int = 0
    lr_scale: float | None = None
    max_length: int = 512
    fewest: int = FEWEST
    last: int = 1
    say: Callable[[str], None] = lambda text: None
    left_out: dict[str, str] = field(default_factory=dict)
    _final: int = -2
    _cost: dict[tuple[str, int], int] = field(default_factory=dict)
    _streams: tuple[tuple[str, bool], Mapping[str, list[Row]]] | None = None

    @cached_property
    def rows(self) -> Rows:
        return parted(self.case, self.seed)

    @cached_property
    def scale(self) -> float:
        return self.lr_scale if self.lr_scale is not None else scale_for(sum(p.numel() for p in self.source.model.parameters()))

    @cached_property
    def original(self) -> Mapping[str, float]:
        """The original's mean probabilities of all measured sets."""
        return self.probabilities(self.source, self.rows.measured)

    @property
    def before(self) -> Seen:
        """What candidates are held against."""
        return seen(self.original)

    @property
    def floor(self) -> Floor:
        return Floor(*(self.original.get(name) for name in ("mismatched", "nearest", "holdout")))

    def candidates(self, methods: Sequence[str] = ()) -> list[Candidate]:
        """In the order in which they are tried; methods that lack rows or tools, or do not fit the model, are left out with the reason."""
        found: dict[str, list[Candidate]] = {}
        for name in tunable(methods):
            try:
                made = drawn(name, catalogue.member("methods", name).card, self.seed, self.scale)
                for c in made:
                    method = self.method(c)
                    check_rows(method, self.case, self.given, name)
                    check(method, self.source)
                found[name] = made
            except Refused as error:
                self.left_out[name] = str(error)
        if not found:
            raise Refused("there is no candidate left: " + "; ".join(f"{n}: {r}" for n, r in sorted(self.left_out.items())))
        return in_order(found)

    def carry_out(self, candidates: Sequence[Candidate]) -> tuple[tuple[Rung, ...], Outcome]:
        """All rungs within the budget. Minutes are turned into steps by a first short run of the first candidate."""
        pilot = [self.run(candidates[0], -1, self.fewest)] if self.budget.steps is None else []
        total = self.budget.left(pilot)
        if total < 1:
            raise Refused(f"the budget is too small: {self.budget.words} are spent after a first run of {self.fewest} steps")
        plan = rungs(total, len(candidates), fewest=self.fewest, last=self.last)
        self._final = len(plan) - 1
        self.say(", then ".join(f"{r.width} x {r.steps} steps" for r in plan))
        outcome = halve(candidates, plan, cost=self.cost, run=self.run, left=lambda found: self.budget.left([*pilot, *found]))
        return plan, replace(outcome, results=(*pilot, *outcome.results))

    def method(self, c: Candidate) -> Method | Stage:
        made: Method | Stage = catalogue.resolve("methods", c.method, c.arguments)
        return made

    def training(self, c: Candidate, steps: int) -> Training:
        own = dict(c.training) | ({"batch": self.batch} if self.batch else {})
        return Training(**{"batch": BATCH, **own, "steps": steps, "seed": self.seed, "save_every": 0})

    def cost(self, c: Candidate, steps: int) -> int:
        """Optimizer steps of all stages."""
        method = self.method(c)
        descents = [s for s in stages(method) if isinstance(s, Descent)]
        if not any({"steps", "epochs"} & set(s.training) for s in descents):
            return steps * len(descents)
        at = (c.key, steps)
        if at not in self._cost:
            self._cost[at] = steps_of(method, self.streams(c, final=False), self.training(c, steps))
        return self._cost[at]

    def streams(self, c: Candidate, final: bool) -> Mapping[str, list[Row]]:
        """What a candidate trains on; retain rows that are set aside come in at the last rung only."""
        at = (c.key, final)
        if self._streams is None or self._streams[0] != at:
            method = self.method(c)
            case = self.case if final else Case({**self.case.train, "retain": self.rows.trained}, self.case.evaluate)
            kept = self.out / "private" / "prepared" / f"{c.key}{'-all' * final}"
            made = rows_for(method, case, self.given, c.method, kept)
            coded = {name: encode(self.source.tokenizer, rows, max_length=self.max_length) for name, rows in made.items()}
            self._streams = (at, relabelled(method, coded, self.given))
        return self._streams[1]

    def run(self, c: Candidate, rung: int, steps: int) -> Result:
        """One candidate for some steps, measured; or what was kept of it. What breaks has no score and the reason."""
        final = rung == self._final
        kept = self.out / "rungs" / f"{rung}-{c.key}-{steps}.json"
        if kept.exists():
            return Result(**json.loads(kept.read_text(encoding="utf-8")))
        since = time.monotonic()
        work = self.out / "stages" / "run"
        shutil.rmtree(work, ignore_errors=True)
        spent = self.cost(c, steps)
        result = Result(c.key, rung, steps, spent, None, {})
        try:
            after = change(self.source, self.method(c), self.streams(c, final), self.training(c, steps), work, lora=self.lora)
            found = score(self.before, self.seen(after, final), self.floor.value)
            result = replace(result, score=round(found.value, 6), parts=found.as_json())
            self.keep(after, result)
        except (Refused, Failed) as error:
            result = replace(result, reason=str(error))
        shutil.rmtree(work, ignore_errors=True)
        result = replace(result, seconds=round(time.monotonic() - since, 2))
        write_json(kept, asdict(result))
        self.say(f"{c.words}: {spent} steps, " + (f"score {result.score:.3f}" if result.score is not None else result.reason))
        return result

    @property
    def models(self) -> Path:
        return self.out / "stages" / "last"

    def keep(self, after: Subject, result: Result) -> None:
        """Save the model unless one of its rung is at least as good; should the last rung break, the one before it serves."""
        file = self.models / "score.json"
        best = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {"rung": -2, "score": 0.0}
        if (result.rung, result.score) > (best["rung"], best["score"]):
            save(after, self.models / "model")
            write_json(file, {"key": result.key, "rung": result.rung, "score": result.score})

    def chosen(self) -> Subject:
        """The best model of the last rung that gave any."""
        return load(self.models / "model", device=str(self.source.device))

    def seen(self, subject: Subject, final: bool) -> Seen:
        """A candidate's probabilities; the last rung has nothing that is set aside."""
        return seen(self.probabilities(subject, ("forget", "trained") if final else ("forget", *KEPT)))

    def probabilities(self, subject: Subject, names: Iterable[str]) -> dict[str, float]:
        """Mean answer probability of measured sets; of names without rows there is none."""
        sets = {name: self.rows.measured[name] for name in names if name in self.rows.measured}
        want = want_of(judge_of(Call("probability"), "forget").card)
        found = measure(subject, sets, dict.fromkeys(sets, want), max_length=self.max_length).records
        return {name: fmean(float(np.exp(-r.loss)) for r in found if r.role == name) for name in sets}


def seen(p: Mapping[str, float]) -> Seen:
    """By the names of the sets."""
    return Seen(p["forget"], {name: p[name] for name in KEPT if name in p})
