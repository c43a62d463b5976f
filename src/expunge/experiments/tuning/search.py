"""The search on a real model: every candidate trained from the original, measured, its result kept;
the last rung's best model stays.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from statistics import fmean

import numpy as np

from expunge import registry
from expunge.core.card import Call
from expunge.core.data import Case
from expunge.core.errors import Failed, Refused
from expunge.core.files import write_json
from expunge.core.stages import Adapter, Descent, Method, Stage, stages
from expunge.evaluation.evaluate import EvaluationSettings, evaluate_one
from expunge.experiments.tuning.candidates import Candidate, drawn, in_order, scale_for, tunable
from expunge.experiments.tuning.halving import Outcome, Result, Rung, halve, rungs
from expunge.experiments.tuning.prior import STEPS
from expunge.experiments.tuning.rows import Rows, parted
from expunge.experiments.tuning.scoring import Floor, Seen, score
from expunge.models.causal_lm.model import Subject
from expunge.models.families.find import load, save
from expunge.models.families.source import ModelSource
from expunge.pipeline.settings import ResolvedSettings
from expunge.pipeline.settings import judge as judge_of
from expunge.pipeline.training_inputs import Supplied, TrainingInputs
from expunge.pipeline.unlearn import unlearn
from expunge.training.sampler import Training
from expunge.training.stages import check, steps_of

KEPT = ("aside", "trained")
BATCH = 16
PILOT = 30  # steps of the run that measures the speed
# of the minutes: what is left for saving and for a run that is slower than the others
MARGIN = 0.95


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


@dataclass
class Search:
    """One search in a folder. ``results`` of a killed one are found there again.

    ``source`` is read for what is measured of the original before anything is trained; each
    candidate takes the model, so that one is in memory while it trains.
    """

    source: ModelSource
    case: Case
    supplied: Supplied
    out: Path
    budget: Budget
    seed: int = 0
    batch: int | None = None
    lora: int = 0
    lr_scale: float | None = None
    max_length: int = 512
    say: Callable[[str], None] = lambda text: None
    left_out: dict[str, str] = field(default_factory=dict)
    _final: int = -2
    _cost: dict[tuple[str, int], int] = field(default_factory=dict)
    _inputs: tuple[tuple[str, bool], TrainingInputs] | None = None

    @cached_property
    def device(self) -> str:
        """Where the original is, and so the models that are made of it."""
        return str(self.source().device)

    @cached_property
    def rows(self) -> Rows:
        return parted(self.case, self.seed)

    @cached_property
    def scale(self) -> float:
        return (
            self.lr_scale
            if self.lr_scale is not None
            else scale_for(sum(p.numel() for p in self.source().weights().values()))
        )

    @cached_property
    def original(self) -> Mapping[str, float]:
        """The original's mean probabilities of all measured sets."""
        return self.probabilities(self.source(), self.rows.measured)

    @property
    def before(self) -> Seen:
        """What candidates are held against."""
        return seen(self.original)

    @property
    def floor(self) -> Floor:
        return Floor(*(self.original.get(name) for name in ("mismatched", "nearest", "holdout")))

    def candidates(self, methods: Sequence[str] = ()) -> list[Candidate]:
        """By method; methods that lack rows or tools, or do not fit the model, are left out with
        the reason.
        """
        found: list[Candidate] = []
        for name in tunable(methods):
            try:
                made = drawn(name, registry.member("methods", name).card, self.seed, self.scale)
                for c in made:
                    method = self.method(c)
                    TrainingInputs(method, self.case, self.supplied, name).check()
                    check(method, self.source())
                found += made
            except Refused as error:
                self.left_out[name] = str(error)
        if not found:
            raise Refused(
                "there is no candidate left: "
                + "; ".join(f"{n}: {r}" for n, r in sorted(self.left_out.items()))
            )
        return found

    def carry_out(self, candidates: Sequence[Candidate]) -> tuple[tuple[Rung, ...], Outcome]:
        """All rungs within the budget.

        Minutes are turned into steps by a first short run of one candidate.
        """
        pilot = (
            [self.run(in_order(candidates, STEPS[-1])[0], -1, PILOT)]
            if self.budget.steps is None
            else []
        )
        total = self.budget.left(pilot)
        if total < 1:
            raise Refused(
                f"the budget is too small: {self.budget.words} are spent after a first run of "
                f"{PILOT} steps"
            )
        plan = rungs(total, len(candidates))
        self._final = len(plan) - 1
        self.say(", then ".join(f"{r.width} x {r.steps} steps" for r in plan))
        ordered = in_order(candidates, plan[-1].steps)
        outcome = halve(
            ordered,
            plan,
            cost=self.cost,
            run=self.run,
            left=lambda found: self.budget.left([*pilot, *found]),
        )
        return plan, replace(outcome, results=(*pilot, *outcome.results))

    def method(self, c: Candidate) -> Method | Stage:
        made: Method | Stage = registry.resolve("methods", c.method, c.arguments)
        return made

    def training(self, c: Candidate, steps: int) -> Training:
        own = dict(c.training) | ({"batch": self.batch} if self.batch else {})
        return Training(
            **{"batch": BATCH, **own, "steps": steps, "seed": self.seed, "save_every": 0}
        )

    def cost(self, c: Candidate, steps: int) -> int:
        """Optimizer steps of all stages."""
        method = self.method(c)
        descents = [s for s in stages(method) if isinstance(s, Descent)]
        if not any({"steps", "epochs"} & set(s.training) for s in descents):
            return steps * len(descents)
        at = (c.key, steps)
        if at not in self._cost:
            self._cost[at] = steps_of(
                method, self.inputs(c, final=False).rows(self.source()), self.training(c, steps)
            )
        return self._cost[at]

    def inputs(self, c: Candidate, final: bool) -> TrainingInputs:
        """What a candidate trains on; retain rows set aside are added at the last rung only."""
        at = (c.key, final)
        if self._inputs is None or self._inputs[0] != at:
            case = (
                self.case
                if final
                else Case({**self.case.train, "retain": self.rows.trained}, self.case.evaluate)
            )
            folder = self.out / "private" / "prepared" / f"{c.key}{'-all' * final}"
            made = TrainingInputs(
                self.method(c),
                case,
                self.supplied,
                c.method,
                folder=folder,
                max_length=self.max_length,
            )
            self._inputs = (at, made)
        return self._inputs[1]

    def apply(self, c: Candidate, final: bool, steps: int, folder: Path) -> Subject:
        """The original after a candidate.

        Its inputs hold the method, so that rows and stages are of one making.
        """
        inputs = self.inputs(c, final)
        settings = ResolvedSettings(self.training(c, steps), adapter=self.adapter)
        return unlearn(self.source, inputs.method, inputs, settings, folder)

    def run(self, c: Candidate, rung: int, steps: int) -> Result:
        """One candidate for some steps, measured; or what was kept of it.

        What breaks has no score and the reason.
        """
        final = rung == self._final
        kept = self.out / "rungs" / f"{rung}-{c.key}-{steps}.json"
        if kept.exists():
            return Result(**json.loads(kept.read_text(encoding="utf-8")))
        since = time.monotonic()
        work = self.out / "stages" / "run"
        shutil.rmtree(work, ignore_errors=True)
        spent = self.cost(c, steps)
        # what is read of the original is read before a candidate takes it
        before, floor, _ = self.before, self.floor.value, self.device
        result = Result(c.key, rung, steps, spent, None, {})
        try:
            after = self.apply(c, final, steps, work)
            found = score(before, self.seen(after, final), floor)
            result = replace(result, score=round(found.value, 6), parts=found.as_json())
            self.keep(after, result)
        except (Refused, Failed) as error:
            result = replace(result, reason=str(error))
        shutil.rmtree(work, ignore_errors=True)
        result = replace(result, seconds=round(time.monotonic() - since, 2))
        write_json(kept, asdict(result))
        self.say(
            f"{c.words}: {spent} steps, "
            + (f"score {result.score:.3f}" if result.score is not None else result.reason)
        )
        return result

    @property
    def adapter(self) -> Adapter | None:
        """What --lora asks for."""
        return Adapter(self.lora) if self.lora else None

    @property
    def models(self) -> Path:
        return self.out / "stages" / "last"

    def keep(self, after: Subject, result: Result) -> None:
        """Save the model unless one of its rung is at least as good; should the last rung break,
        the one before it serves.
        """
        file = self.models / "score.json"
        best = (
            json.loads(file.read_text(encoding="utf-8"))
            if file.exists()
            else {"rung": -2, "score": 0.0}
        )
        if (result.rung, result.score) > (best["rung"], best["score"]):
            save(after, self.models / "model")
            write_json(file, {"key": result.key, "rung": result.rung, "score": result.score})

    def chosen(self) -> Subject:
        """The best model of the last rung that gave any."""
        return load(self.models / "model", device=self.device)

    def seen(self, subject: Subject, final: bool) -> Seen:
        """A candidate's probabilities; the last rung has nothing that is set aside."""
        return seen(
            self.probabilities(subject, ("forget", "trained") if final else ("forget", *KEPT))
        )

    def probabilities(self, subject: Subject, names: Iterable[str]) -> dict[str, float]:
        """Mean answer probability of measured sets; of names without rows there is none."""
        sets = {name: self.rows.measured[name] for name in names if name in self.rows.measured}
        metrics = [judge_of(Call("probability"), name) for name in sets]
        settings = EvaluationSettings(max_length=self.max_length)
        found = evaluate_one(subject, Case({}, sets), metrics, settings).mine
        means = {}
        for name in sets:
            means[name] = fmean(float(np.exp(-r.loss)) for r in found if r.role == name)
        return means


def seen(p: Mapping[str, float]) -> Seen:
    """By the names of the sets."""
    return Seen(p["forget"], {name: p[name] for name in KEPT if name in p})
