"""``expunge bench``: every method on every seed, each cell once, then tables and a plot.

A bench that was killed goes on where it was.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from expunge.core.errors import Failed, Refused
from expunge.core.escape import tell
from expunge.core.files import write_json, write_text
from expunge.core.requests import BenchRequest
from expunge.experiments.sweep.cell import baseline, cell, parts_of, read_cell
from expunge.experiments.sweep.gather import gather
from expunge.experiments.sweep.guard_cell import check_guard
from expunge.experiments.sweep.measures import UTILITY
from expunge.experiments.sweep.plan import Entry, Plan, plan_of, room_of
from expunge.experiments.sweep.plot import write_plots
from expunge.experiments.sweep.pool import Job, check_executor, pool, together
from expunge.experiments.sweep.recipe import attack_for, benchmark_for
from expunge.experiments.sweep.stages import names_of, tables
from expunge.experiments.sweep.table import page, shown
from expunge.pipeline.settings import benchmark_of, tell_absent
from expunge.pipeline.unlearn import resolve
from expunge.runs.folder import write_yaml
from expunge.runs.workplace import workplace

PLAN, CELLS, MODELS = "plan.yaml", "cells", "models"


@dataclass(frozen=True)
class Todo:
    """What will run and what will not, and why."""

    entries: tuple[Entry, ...]
    skipped: Mapping[str, str]


def bench(request: BenchRequest) -> Path:
    """Carry a plan out in OUT and write bench.json, bench.md, tradeoff.svg and tradeoff.html, and
    stages.svg of a benchmark with stages.

    Failed if no cell at all could be made.
    """
    plan = plan_of(request)
    check_executor(plan.executor)
    if not request.out:
        raise Refused("where to? give --out FOLDER")
    out = Path(request.out)
    todo = runnable(plan)
    with workplace(out, "bench", clears=(CELLS, MODELS), overwrite=request.overwrite):
        write_yaml(out / PLAN, plan.as_json())
        with pool(plan.workers, plan.executor) as workers:
            together(workers, "original and gold", baselines(out, plan), request.quiet)
            together(workers, "cells", cells(out, plan, todo, request.keep_models), request.quiet)
        found = gather(out, plan, todo.skipped, reader(out, plan, todo))
        write_json(out / "bench.json", found)
        write_text(out / "bench.md", "\n".join([page(found), *tables(found)]))
        write_plots(out, found)
    shown(found)
    if names_of(found):
        tell(f"after each stage: {out / 'bench.md'}, {out / 'stages.svg'}")
    failed = [label for label, row in found["methods"].items() if not row["n"]]
    if found["methods"] and len(failed) == len(found["methods"]):
        raise Failed(
            f"no cell could be made; the first: "
            f"{next(iter(found['methods'].values()))['errors'][0]}"
        )
    return out


def runnable(plan: Plan) -> Todo:
    """The methods whose rows and tools are there.

    Of the whole catalogue the others are skipped; one asked for by name is refused.
    """
    benchmark = benchmark_of(plan.request(plan.methods[0], plan.seeds[0]))
    assert benchmark is not None
    tell_absent(benchmark, why=True)
    stage, part = parts_of(benchmark)[0]
    case = part.case
    if any(not case.evaluate.get(role) for role in ("forget", "retain")):
        raise Refused(
            f"{plan.benchmark} asks no forget or no retain rows, by which a bench compares; use "
            f"expunge unlearn and expunge eval"
        )
    entries, skipped = [], {}
    for entry in plan.methods:
        request = plan.request(entry, plan.seeds[0])
        try:
            if room_of(entry.method.name) == "guards":
                check_guard(entry.label, benchmark, case)
            else:
                resolve(replace(request, stage=stage), benchmark, case, _no_subject, entry.label)
            entries.append(entry)
        except Refused as error:
            if not plan.every:
                raise
            skipped[entry.label] = str(error)
    if not entries:
        raise Refused(f"no method can run here; the first: {next(iter(skipped.values()))}")
    return Todo(tuple(entries), skipped)


def _no_subject() -> Any:
    raise Failed("a model was asked for before the bench began")


# ------------------------------------------------------------------ what is to be done


def model_of(out: Path, plan: Plan, name: str, seed: int) -> str:
    """The folder of the original or gold of a seed; '' for a gold that nobody gave."""
    if plan.model:
        return plan.model if name == "original" else plan.gold
    return str(out / MODELS / f"{name}-s{seed}")


def ask_baseline(out: Path, plan: Plan, name: str, seed: int) -> dict[str, Any]:
    # OUT may be moved
    model = (plan.model if name == "original" else plan.gold) or f"{MODELS}/{name}-s{seed}"
    where = {"benchmark": benchmark_for(plan.benchmark, seed), "data": plan.data, "model": model}
    asked = {"name": name, "seed": seed, "train": not plan.model, "recipe": dict(plan.recipe)}
    return {**asked, "relearn": attack_for(plan.benchmark, plan.relearn), **where}


def place_of(out: Path, label: str, seed: int) -> Path:
    return out / CELLS / f"{label}-s{seed}"


def baselines(out: Path, plan: Plan) -> list[Job]:
    """The jobs that train and measure original and gold."""
    asked = [
        (place_of(out, n, s), ask_baseline(out, plan, n, s))
        for s in plan.seeds
        for n in ("original", "gold")
        if model_of(out, plan, n, s)
    ]
    todo = [(place, ask) for place, ask in asked if read_cell(place, ask) is None]
    return [
        (baseline, str(place), ask, model_of(out, plan, ask["name"], ask["seed"]))
        for place, ask in todo
    ]


def cells(out: Path, plan: Plan, todo: Todo, keep: bool) -> list[Job]:
    """The cells that are not there yet, seed by seed, so that a worker loads an original seldom."""
    jobs: list[Job] = []
    for seed in plan.seeds:
        original = read_cell(
            place_of(out, "original", seed), ask_baseline(out, plan, "original", seed)
        )
        if original is None or original["values"][UTILITY]["value"] is None:
            raise Failed(f"the original of seed {seed} could not be measured")
        level = plan.level * original["values"][UTILITY]["value"]
        models = (model_of(out, plan, "original", seed), model_of(out, plan, "gold", seed))
        for entry in todo.entries:
            place = place_of(out, entry.label, seed)
            ask = plan.ask(entry, seed)
            made = read_cell(place, ask)
            kept = keep and room_of(entry.method.name) == "methods"  # a guard makes no weights
            if made is None or "error" in made or (kept and not (place / "model").exists()):
                shutil.rmtree(place / "model", ignore_errors=True)
                jobs.append((cell, str(place), ask, level, models, kept))
    return jobs


def reader(out: Path, plan: Plan, todo: Todo) -> Mapping[str, list[tuple[int, dict[str, Any]]]]:
    """label -> (seed, cell) of everything that was made."""
    asked = [
        (n, s, ask_baseline(out, plan, n, s)) for n in ("original", "gold") for s in plan.seeds
    ]
    asked += [(e.label, s, plan.ask(e, s)) for e in todo.entries for s in plan.seeds]
    found: dict[str, list[tuple[int, dict[str, Any]]]] = {}
    for label, seed, ask in asked:
        made = read_cell(place_of(out, label, seed), ask)
        if made is not None:
            found.setdefault(label, []).append((seed, made))
    return found
