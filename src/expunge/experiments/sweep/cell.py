"""One cell of a bench: a method on the original of a seed, at its settings and at equal budget,
each with its twin at equal utility.
"""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from expunge.core.benchmark import Benchmark
from expunge.core.card import Call
from expunge.core.data import Row
from expunge.core.errors import verdict
from expunge.core.files import write_json
from expunge.core.notes import note
from expunge.core.requests import UnlearnRequest
from expunge.core.results import Records
from expunge.experiments.sweep.fair import smallest_share, steps_for, tokens_of
from expunge.experiments.sweep.guard_cell import guard_cell
from expunge.experiments.sweep.hardness import answers_of, garbled, relearned, strangeness
from expunge.experiments.sweep.measures import (
    STRENGTH,
    UTILITY,
    as_json,
    evaluated,
    teacher_forced,
    values,
    whole,
    writes,
)
from expunge.experiments.sweep.plan import room_of
from expunge.experiments.sweep.recipe import trained
from expunge.losses.weight_deltas import mixed
from expunge.models.causal_lm.lora import merged
from expunge.models.causal_lm.model import Subject
from expunge.models.families.find import load, save
from expunge.models.families.source import ModelSource
from expunge.pipeline.settings import benchmark_of, judge
from expunge.pipeline.unlearn import Job, resolve, unlearn
from expunge.training.sampler import Training
from expunge.training.stages import steps_of

SCHEMA = 3
Rows = Mapping[str, Sequence[Row]]
TrainingAt = Callable[[Job, Rows], Training]


# ------------------------------------------------------------------ a seed's models


@lru_cache(maxsize=2)
def shared(benchmark: str, data: str, model: str) -> tuple[Benchmark, Subject]:
    """What all cells of a seed have in common, loaded once by a worker."""
    bench = benchmark_of(UnlearnRequest(benchmark=benchmark, data=data))
    assert bench is not None
    return bench, load(model)


def baseline(place: str, ask: Mapping[str, Any], model: str) -> None:
    """The original or gold of a seed in folder ``model``: trained unless it was given, then
    measured into ``place``.
    """
    name = ask["name"]
    if ask["train"]:
        trained(Path(model), ask["benchmark"], ask["seed"], gold=name == "gold", **ask["recipe"])
    since = time.process_time()
    bench, subject = shared(ask["benchmark"], ask["data"], model)
    found: dict[str, Any] = {"values": as_json(values(subject, bench, whole(bench)))}
    found["relearned"] = relearned(subject, parts_of(bench)[-1][1], ask["relearn"], ask["seed"])
    found["seconds"] = round(time.process_time() - since, 2)
    write_cell(Path(place), ask, found)


# ------------------------------------------------------------------ a method's cell


@lru_cache(maxsize=2)
def strangeness_of_gold(benchmark: str, data: str, original: str, gold: str) -> np.ndarray | None:
    """How strange gold's answers are to the original: what the answers of the methods are held
    against; None without a gold, and where models write no texts.
    """
    if not gold:
        return None
    bench, reader = shared(benchmark, data, original)
    if not writes(bench):
        return None
    last = parts_of(bench)[-1][1]
    return strangeness(reader, last, answers_of(load(gold), last))


def cell(
    place: str, ask: dict[str, Any], level: float, models: tuple[str, str], keep: bool
) -> None:
    """Compute a cell into ``place``/result.json.

    What goes wrong is the cell's one line; the bench goes on.

    Args:
        place: The cell's folder.
        ask: All that decides its numbers, see ``Plan.ask``.
        level: The retain probability that counts as equal utility.
        models: Folders of the original and of gold ("" for none).
        keep: Whether the unlearned model is kept.
    """
    since, wall = time.process_time(), time.monotonic()
    try:
        found = computed(ask, level, models, Path(place) / "model" if keep else None)
    except Exception as error:
        found = {"error": verdict(error)[1]}
    cost = {
        "cpu_seconds": round(time.process_time() - since, 2),
        "wall_seconds": round(time.monotonic() - wall, 2),
    }
    write_cell(Path(place), ask, {**found, **cost})


def computed(
    ask: Mapping[str, Any], level: float, models: tuple[str, str], keep: Path | None
) -> dict[str, Any]:
    """The numbers of a cell; arguments as of ``cell``."""
    model, gold = models
    request = replace(UnlearnRequest.from_json(ask["request"]), model=model)
    bench, original = shared(request.benchmark, request.data, model)
    if room_of(request.method.name) == "guards":
        usual = strangeness_of_gold(request.benchmark, request.data, model, gold)
        return guard_cell(request.method, bench, original, ask, level, usual)
    sequence = StageSequence(request, bench, original)

    def tried(training_at: TrainingAt, kept: Path | None = None) -> dict[str, Any]:
        after, found, records = sequence.carry_out(training_at)
        last = parts_of(bench)[-1][1]
        found["at_level"] = at_level(original, after, last, level, found["values"])
        found["relearned"] = relearned(
            after, last, ask["relearn"], sequence.first.settings.training.seed
        )
        usual = strangeness_of_gold(request.benchmark, request.data, model, gold)
        found["garbled"] = (
            None if usual is None else garbled(strangeness(original, last, records), usual)
        )
        if kept:
            save(after, kept)
        return found

    def as_set(job: Job, rows: Rows) -> Training:
        return job.settings.training

    def at_equal_budget(job: Job, rows: Rows) -> Training:
        return steps_for(job.method, rows, job.settings.training, ask["budget"])

    at_settings = tried(as_set, keep)
    job = sequence.first
    found = {
        "method": job.call.as_json(),
        "settings": job.settings.as_json(job.method),
        "preset": bool(job.preset),
        "level": level,
    }
    found["at_settings"] = at_settings
    if ask["budget"]:
        same = sequence.steps(at_equal_budget) == at_settings["steps"]
        found["at_budget"] = at_settings | {"same": True} if same else tried(at_equal_budget)
    return found


def parts_of(bench: Benchmark) -> list[tuple[str, Benchmark]]:
    """(name, the benchmark with that stage's case) in order; a benchmark without stages is its own
    only part.
    """
    return [(name, replace(bench, case=case)) for name, case in bench.stages.items()] or [
        ("", bench)
    ]


class StageSequence:
    """A method on each stage of a benchmark in turn (on one without stages: once).

    The rows of a stage are made once.

    Args:
        request: The method and its settings.
        bench: The benchmark.
        original: The model that the first stage begins with; it stays as it is.
    """

    def __init__(self, request: UnlearnRequest, bench: Benchmark, original: Subject) -> None:
        self.request = request
        self.bench = bench
        self.original = original
        self.start = original  # of the stage at hand
        self.jobs: dict[str, Job] = {}
        stage, part = parts_of(bench)[0]
        self.first = self.job_of(stage, part)

    def job_of(self, stage: str, part: Benchmark) -> Job:
        """The method with the rows of a stage; preparations ask the model that the stage begins
        with.
        """
        if stage not in self.jobs:
            asked = replace(self.request, stage=stage)
            self.jobs[stage] = resolve(asked, self.bench, part.case, lambda: self.start)
        return self.jobs[stage]

    def steps(self, training_at: TrainingAt) -> int:
        """Optimizer steps of all stages together, whose rows were made before."""
        total = 0
        for job in self.jobs.values():
            rows = job.inputs.rows(self.original)
            total += steps_of(job.method, rows, training_at(job, rows))
        return total

    def carry_out(self, training_at: TrainingAt) -> tuple[Subject, dict[str, Any], Records]:
        """The unlearned model after the last stage, what all stages cost together with its values,
        and its records.

        Of a benchmark with stages the values after each stage, too. Each stage begins as
        ``bench.begin`` says; an adapter goes on, as it does in ``expunge unlearn``.

        Args:
            training_at: The training settings of a stage.
        """
        bench = self.bench
        after, stages, seen, records = self.original, {}, {}, Records()
        total: dict[str, Any] = {"steps": 0, "tokens": 0, "seconds": 0.0}
        for stage, part in parts_of(bench):
            self.start = after if bench.begin == "last" else self.original
            after, cost = self.apply(self.job_of(stage, part), training_at)
            total = {k: round(total[k] + cost[k], 2) for k in total}
            after = after if bench.stages else merged(after)
            found = evaluated(after, part, whole(part))
            records, seen = found.mine, as_json(dict(found.results))
            stages[stage] = {"values": seen, **cost}
        return (
            merged(after),
            total | {"values": seen} | ({"stages": stages} if bench.stages else {}),
            records,
        )

    def apply(self, job: Job, training_at: TrainingAt) -> tuple[Subject, dict[str, Any]]:
        """The model after one stage, and what it cost: optimizer steps, training tokens, CPU
        seconds.
        """
        rows = job.inputs.rows(self.start)
        training = training_at(job, rows)
        settings = replace(job.settings, training=training)
        start, lent = self.start, self.start is self.original
        since = time.process_time()
        after = unlearn(ModelSource(lambda: start, lent=lent), job.method, job.inputs, settings)
        seconds = round(time.process_time() - since, 2)
        steps, tokens = steps_of(job.method, rows, training), tokens_of(job.method, rows, training)
        return after, {"steps": steps, "tokens": tokens, "seconds": seconds}


def at_level(
    original: Subject,
    after: Subject,
    bench: Benchmark,
    level: float,
    found: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """Equal utility: the least of the original is mixed in that brings the retain probability back
    to ``level``; then measured again.
    """
    new, old = after.weights(), original.weights()
    scratch = replace(original, model=copy.deepcopy(original.model), folder=None, digest="")
    inside = scratch.weights()

    def mix(share: float) -> Subject:
        for name, weight in mixed(old, new, share).items():
            inside[name].copy_(weight)
        return scratch

    def kept(share: float) -> float:
        value = (
            found[UTILITY]["value"]
            if share == 0
            else values(mix(share), bench, [judge(Call("probability"), "retain")])[UTILITY].value
        )
        return float("nan") if value is None else value

    share = smallest_share(kept, level)
    if share == 0:
        return {
            "u": 0.0,
            "values": {k: found[k] for k in found if k.endswith("/probability") or k == STRENGTH},
        }
    return {"u": share, "values": as_json(values(mix(share), bench, teacher_forced(bench)))}


def write_cell(place: Path, ask: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """``place``/result.json: what was asked, what was found, and the sha256 of both, by which a
    later edit is noticed.
    """
    whole = json.loads(json.dumps({"schema": SCHEMA, "ask": dict(ask), **found}))
    write_json(place / "result.json", {**whole, "sha256": _sum(whole)})


def read_cell(place: Path, ask: Mapping[str, Any]) -> dict[str, Any] | None:
    """A finished cell that answers ``ask``; None if it must be made: absent, failed before, of
    another question, or edited (which is said in a line).
    """
    try:
        found = json.loads((place / "result.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if (
        not isinstance(found, dict)
        or found.get("schema") != SCHEMA
        or found.get("ask") != json.loads(json.dumps(ask))
    ):
        return None
    if found.pop("sha256", None) != _sum(found):
        note(f"{place / 'result.json'}: edited after it was made: not trusted, made again")
        return None
    return found


def _sum(found: Mapping[str, Any]) -> str:
    return sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()
