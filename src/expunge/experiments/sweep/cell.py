"""One cell of a bench: a method on the original of a seed, at its settings and at equal budget, each with its twin at equal utility."""

from __future__ import annotations

import copy
import json
import tempfile
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
from expunge.core.stages import Adapter, Method, Stage
from expunge.evaluation.metric import judged
from expunge.experiments.sweep.fair import smallest_share, steps_for, tokens_of
from expunge.experiments.sweep.hardness import answers_of, garbled, relearned, strangeness
from expunge.experiments.sweep.measures import STRENGTH, UTILITY, as_json, records_of, teacher_forced, values, whole
from expunge.experiments.sweep.recipe import trained
from expunge.losses.weight_deltas import mixed
from expunge.models.causal_lm.load import load
from expunge.models.causal_lm.lora import merged
from expunge.models.causal_lm.model import Subject
from expunge.models.causal_lm.modules import parameters_of
from expunge.models.causal_lm.save import save
from expunge.pipeline.run import encoded
from expunge.pipeline.settings import benchmark_of, judge, longest_of, method_of, training_settings
from expunge.pipeline.training_inputs import given_of, relabelled, rows_for
from expunge.training.sampler import Training
from expunge.training.stages import change, check, steps_of

SCHEMA = 3
Streams = Mapping[str, Sequence[Row]]


# ------------------------------------------------------------------ a seed's models


@lru_cache(maxsize=2)
def shared(benchmark: str, data: str, model: str) -> tuple[Benchmark, Subject]:
    """What all cells of a seed have in common, loaded once by a worker."""
    bench = benchmark_of(UnlearnRequest(benchmark=benchmark, data=data))
    assert bench is not None
    return bench, load(model)


def baseline(place: str, ask: Mapping[str, Any], model: str) -> None:
    """The original or gold of a seed in folder ``model``: trained unless it was given, then measured into ``place``."""
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
    """How strange gold's answers are to the original: what the answers of the methods are held against; None without a gold."""
    if not gold:
        return None
    bench, reader = shared(benchmark, data, original)
    last = parts_of(bench)[-1][1]
    return strangeness(reader, last, answers_of(load(gold), last))


def cell(place: str, ask: dict[str, Any], level: float, models: tuple[str, str], keep: bool) -> None:
    """Compute a cell into ``place``/result.json. What goes wrong is the cell's one line; the bench goes on.

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
    cost = {"cpu_seconds": round(time.process_time() - since, 2), "wall_seconds": round(time.monotonic() - wall, 2)}
    write_cell(Path(place), ask, {**found, **cost})


def computed(ask: Mapping[str, Any], level: float, models: tuple[str, str], keep: Path | None) -> dict[str, Any]:
    """The numbers of a cell; arguments as of ``cell``."""
    model, gold = models
    request = replace(UnlearnRequest.from_json(ask["request"]), model=model)
    bench, original = shared(request.benchmark, request.data, model)
    called, method, preset = method_of(request, bench)
    settings = training_settings(request, preset)
    check(method, original, settings.adapter)
    made: dict[str, Streams] = {}

    def streams_at(stage: str, part: Benchmark, subject: Subject) -> Streams:
        if stage not in made:
            others = [e for name, case in bench.stages.items() if name != stage for e in case.train.get("forget", ())]
            given = given_of(request, part.case.train.get("forget", ()), settings.training.seed, lambda: subject, others)
            rows = rows_for(method, part.case, given, called.name)
            tokens = {name: encoded(original, some, request, longest_of(bench)) for name, some in rows.items()}
            made[stage] = relabelled(method, tokens, given)
        return made[stage]

    def tried(training_at: Callable[[Streams], Training], kept: Path | None = None) -> dict[str, Any]:
        after, found, records = walked(original, method, bench, streams_at, training_at, settings.adapter)
        last = parts_of(bench)[-1][1]
        found["at_level"] = at_level(original, after, last, level, found["values"])
        found["relearned"] = relearned(after, last, ask["relearn"], settings.training.seed)
        usual = strangeness_of_gold(request.benchmark, request.data, model, gold)
        found["garbled"] = None if usual is None else garbled(strangeness(original, last, records), usual)
        if kept:
            save(after, kept)
        return found

    found: dict[str, Any] = {"method": called.as_json(), "settings": settings.as_json(method), "preset": bool(preset), "level": level}
    found["at_settings"] = tried(lambda streams: settings.training, keep)
    if ask["budget"]:
        equal = lambda streams: steps_for(method, streams, settings.training, ask["budget"])
        same = sum(steps_of(method, streams, equal(streams)) for streams in made.values()) == found["at_settings"]["steps"]
        found["at_budget"] = found["at_settings"] | {"same": True} if same else tried(equal)
    return found


def parts_of(bench: Benchmark) -> list[tuple[str, Benchmark]]:
    """(name, the benchmark with that stage's case) in order; a benchmark without stages is its own only part."""
    return [(name, replace(bench, case=case)) for name, case in bench.stages.items()] or [("", bench)]


def walked(
    original: Subject,
    method: Method | Stage,
    bench: Benchmark,
    streams_at: Callable[[str, Benchmark, Subject], Streams],
    training_at: Callable[[Streams], Training],
    adapter: Adapter | None = None,
) -> tuple[Subject, dict[str, Any], Records]:
    """The unlearned model after the last stage, what all stages cost together with its values, and its records.

    Of a benchmark with stages the values after each stage, too.

    Each stage begins as ``bench.begin`` says; an adapter goes on, as it does in ``expunge unlearn``.
    """
    after, stages, seen, records = original, {}, {}, Records()
    total: dict[str, Any] = {"steps": 0, "tokens": 0, "seconds": 0.0}
    for stage, part in parts_of(bench):
        start = after if bench.begin == "last" else original
        streams = streams_at(stage, part, start)
        after, cost = carried_out(start, method, streams, training_at(streams), adapter)
        total = {k: round(total[k] + cost[k], 2) for k in total}
        after = after if bench.stages else merged(after)
        records = records_of(after, part, whole(part))
        seen = as_json(judged(whole(part), records, None))
        stages[stage] = {"values": seen, **cost}
    return merged(after), total | {"values": seen} | ({"stages": stages} if bench.stages else {}), records


def changed(
    original: Subject, method: Method | Stage, streams: Streams, training: Training, adapter: Adapter | None = None
) -> tuple[Subject, dict[str, Any]]:
    """The unlearned model with adapters folded in, and what it cost."""
    after, cost = carried_out(original, method, streams, training, adapter)
    return merged(after), cost


def carried_out(
    start: Subject, method: Method | Stage, streams: Streams, training: Training, adapter: Adapter | None
) -> tuple[Subject, dict[str, Any]]:
    """The unlearned model, and what it cost: optimizer steps, training tokens, CPU seconds."""
    since = time.process_time()
    with tempfile.TemporaryDirectory() as place:
        after = change(start, method, streams, training, Path(place), adapter=adapter)
    seconds = round(time.process_time() - since, 2)
    return after, {
        "steps": steps_of(method, streams, training),
        "tokens": tokens_of(method, streams, training),
        "seconds": seconds,
    }


def at_level(original: Subject, after: Subject, bench: Benchmark, level: float, found: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Equal utility: the least of the original is mixed in that brings the retain probability back to ``level``; then measured again."""
    new, old = parameters_of(after.model), parameters_of(original.model)
    scratch = replace(original, model=copy.deepcopy(original.model), folder=None, digest="")
    inside = parameters_of(scratch.model)

    def mix(share: float) -> Subject:
        for name, weight in mixed(old, new, share).items():
            inside[name].copy_(weight)
        return scratch

    def kept(share: float) -> float:
        value = found[UTILITY]["value"] if share == 0 else values(mix(share), bench, [judge(Call("probability"), "retain")])[UTILITY].value
        return float("nan") if value is None else value

    share = smallest_share(kept, level)
    if share == 0:
        return {"u": 0.0, "values": {k: found[k] for k in found if k.endswith("/probability") or k == STRENGTH}}
    return {"u": share, "values": as_json(values(mix(share), bench, teacher_forced(bench)))}


def write_cell(place: Path, ask: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """``place``/result.json: what was asked, what was found, and the sha256 of both, by which a later edit is noticed."""
    whole = json.loads(json.dumps({"schema": SCHEMA, "ask": dict(ask), **found}))
    write_json(place / "result.json", {**whole, "sha256": _sum(whole)})


def read_cell(place: Path, ask: Mapping[str, Any]) -> dict[str, Any] | None:
    """A finished cell that answers ``ask``; None if it must be made: absent, failed before, of another question, or edited (which is
    said in a line)."""
    try:
        found = json.loads((place / "result.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(found, dict) or found.get("schema") != SCHEMA or found.get("ask") != json.loads(json.dumps(ask)):
        return None
    if found.pop("sha256", None) != _sum(found):
        note(f"{place / 'result.json'}: edited after it was made: not trusted, made again")
        return None
    return found


def _sum(found: Mapping[str, Any]) -> str:
    return sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()
