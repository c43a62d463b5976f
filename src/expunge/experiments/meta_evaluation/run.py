"""``expunge bench --meta``: how far each metric can be believed, on models of which it is known
whether they know.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from expunge import registry
from expunge.core.errors import Refused, unknown
from expunge.core.escape import tell
from expunge.core.files import write_json, write_text
from expunge.core.requests import BenchRequest
from expunge.experiments.meta_evaluation.cell import baseline, pool_cell, unlearned_cell
from expunge.experiments.meta_evaluation.gather import gathered
from expunge.experiments.meta_evaluation.page import drawn, page
from expunge.experiments.meta_evaluation.pool import UNLEARNED, members
from expunge.experiments.sweep.cell import read_cell
from expunge.experiments.sweep.gather import command, made_with
from expunge.experiments.sweep.plan import numbers
from expunge.experiments.sweep.pool import Job, check_executor, pool, together
from expunge.experiments.sweep.recipe import BUILTIN
from expunge.experiments.sweep.run import CELLS, MODELS, PLAN
from expunge.runs.folder import write_yaml
from expunge.runs.workplace import workplace

NOT_HERE = ("plan", "model", "gold", "data", "world", "chat", "level", "keep_models")


def meta(request: BenchRequest) -> Path:
    """Make the pool, the unlearned models and what attacks leave of them; write meta.json, meta.md
    and meta.svg. Goes on where it was.
    """
    asked = plan_of(request)
    out = Path(request.out)
    with workplace(out, "bench", clears=(CELLS, MODELS), overwrite=request.overwrite):
        write_yaml(out / PLAN, asked | {"meta": True})
        models = str(out / MODELS)
        todo = cells_of(asked)
        with pool(request.workers or 2, request.executor or "local") as workers:
            bases: list[Job] = [(baseline, models, seed, asked["steps"]) for seed in asked["seeds"]]
            together(workers, "base, original and gold", bases, request.quiet)
            jobs: list[Job] = [
                (fn, str(out / CELLS / label), ask, models) for label, fn, ask in todo
            ]
            together(
                workers,
                "models",
                [j for j in jobs if read_cell(Path(j[1]), j[2]) is None],
                request.quiet,
            )
        cells = [
            c for label, _, ask in todo if (c := read_cell(out / CELLS / label, ask)) is not None
        ]
        spent = sum(
            found["seconds"]
            for c in cells
            for found in c.values()
            if isinstance(found, dict) and "seconds" in found
        )
        found = {
            "schema": 1,
            "command": command(out),
            "machine": made_with(),
            "plan": asked,
            "measuring_cpu_seconds": round(spent),
        }
        found |= gathered(cells)
        write_json(out / "meta.json", found)
        write_text(out / "meta.md", page(found))
        write_text(out / "meta.svg", drawn(found))
    tell(page(found))
    return out


def plan_of(request: BenchRequest) -> dict[str, Any]:
    """What is to be made.

    Refused: what a meta-evaluation does not read, unknown names, a benchmark that trains no models
    of its own.
    """
    if not request.out:
        raise Refused("where to? give --out FOLDER")
    if (request.benchmark or BUILTIN) != BUILTIN:
        raise Refused(
            f"--meta trains models that know and models that never did: only {BUILTIN} brings such "
            f"facts, not {request.benchmark}"
        )
    for name in NOT_HERE:
        if getattr(request, name):
            raise Refused(
                f"--meta does not read --{name.replace('_', '-')}; it takes --seeds, --methods, "
                f"--metrics, --budget, --workers"
            )
    check_executor(request.executor or "local")
    metrics = tuple(word for word in request.metrics.split(",") if word)
    methods = tuple(word for word in request.methods.split(",") if word)
    for room, names in (("metrics", metrics), ("methods", methods)):
        for name in names:
            if registry.member(room, name).name != name:
                raise unknown(room.removesuffix("s"), name, registry.names(room))
    seeds = numbers(request.seeds or "0")
    # by name: cells made when there were other metrics are made again
    metrics = metrics or tuple(registry.sound("metrics"))
    return {
        "seeds": seeds,
        "metrics": list(metrics),
        "methods": list(methods or UNLEARNED),
        "steps": request.budget or 0,
    }


def cells_of(asked: dict[str, Any]) -> Sequence[tuple[str, Any, dict[str, Any]]]:
    """(label, function, what it is asked) of every model; slow ones first."""
    found: list[tuple[str, Any, dict[str, Any]]] = []
    for seed in asked["seeds"]:
        same = {"seed": seed, "metrics": asked["metrics"], "steps": asked["steps"]}
        found += [
            (f"{m or 'gold'}-s{seed}", unlearned_cell, same | {"method": m})
            for m in ("", *asked["methods"])
        ]
        found += [
            (f"{m.label}-s{seed}", pool_cell, same | {"member": m.as_json()}) for m in members(seed)
        ]
    return found
