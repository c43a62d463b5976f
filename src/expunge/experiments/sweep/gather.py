"""Cells -> one row per method: means over seeds, with the range; what was skipped and what failed,
and why.
"""

from __future__ import annotations

import json
import platform
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from expunge.experiments.sweep.cell import SCHEMA
from expunge.experiments.sweep.measures import FORGET, NEIGHBOR, UTILITY
from expunge.experiments.sweep.plan import Plan
from expunge.scoring.quality import PARTS, closeness, kept, quality, resistance
from expunge.training.sampler import Training

LIBRARIES = ("expunge", "torch", "transformers", "numpy")
Ends = Mapping[str, Mapping[int, Mapping[str, Any]]]
Cells = Mapping[str, Sequence[tuple[int, dict[str, Any]]]]


def gather(out: Path, plan: Plan, skipped: Mapping[str, str], cells: Cells) -> dict[str, Any]:
    """bench.json. Holds numbers, names and settings; no text of the data."""
    baselines: dict[str, Any] = {}
    for n in ("original", "gold"):
        if cells.get(n):
            baselines[n] = summary([c for _, c in cells[n]])
    ends: Ends = {n: dict(cells.get(n, ())) for n in ("original", "gold")}
    rows = {
        e.label: row(cells.get(e.label, ()), ends) for e in plan.methods if e.label not in skipped
    }
    for name, found in baselines.items():
        found["relearned"] = spread([c.get("relearned") for c in ends[name].values()])
    every: list[dict[str, Any]] = [c for some in cells.values() for _, c in some]
    spent = sum(c["cpu_seconds"] if "cpu_seconds" in c else c["seconds"] for c in every)
    return {
        "schema": SCHEMA,
        "command": command(out),
        "machine": made_with(),
        "plan": plan.as_json(),
        "cpu_seconds": round(spent, 1),
        **baselines,
        "methods": rows,
        "skipped": dict(skipped),
    }


def made_with() -> str:
    """The machine and the libraries that decide the numbers, in words."""
    return f"{platform.machine()}, Python {platform.python_version()}, " + ", ".join(
        f"{n} {_version(n)}" for n in LIBRARIES
    )


def row(cells: Sequence[tuple[int, dict[str, Any]]], ends: Ends) -> dict[str, Any]:
    """A method over its seeds. ``ends``: the cells of the original and of gold by seed."""
    seeds = [s for s, c in cells if "error" not in c]
    good = [c for _, c in cells if "error" not in c]
    made: dict[str, Any] = {
        "n": len(good),
        "errors": [f"seed {s}: {c['error']}" for s, c in cells if "error" in c],
    }
    if not good:
        return made
    made |= {
        "settings": settings(good[0]),
        "preset": good[0]["preset"],
        "cpu_seconds": mean(c["cpu_seconds"] for c in good),
    }
    if good[0].get("guard"):
        made["guard"] = True
    for part in ("at_settings", "at_budget"):
        some = [c[part] for c in good if part in c]
        if some:
            rated = []
            for seed, c in zip(seeds, good, strict=True):
                if part in c:
                    own = {name: by_seed.get(seed) for name, by_seed in ends.items()}
                    rated.append(quality_of(c[part], own))
            made[part] = _of_part(some, rated)
    return made


def _of_part(
    some: Sequence[dict[str, Any]], rated: Sequence[Mapping[str, float | None]]
) -> dict[str, Any]:
    """A method at one budget over its seeds; ``rated``: quality and its parts of each seed."""
    level = summary([c["at_level"] for c in some])
    level["u"] = spread([c["at_level"]["u"] for c in some])
    found = summary(some)
    for k in ("quality", *PARTS):
        found[k] = spread([r[k] for r in rated])
    for k in ("relearned", "garbled"):
        found[k] = spread([c.get(k) for c in some])
    for k in ("steps", "tokens", "seconds"):
        found[k] = mean(c[k] for c in some)
    found["at_level"] = level
    found["same"] = all(c.get("same", False) for c in some)
    if "stages" in some[0]:
        stages = {}
        for name in some[0]["stages"]:
            stages[name] = summary([c["stages"][name] for c in some])
        found["stages"] = stages
    return found


def quality_of(
    cell: Mapping[str, Any], ends: Mapping[str, Mapping[str, Any] | None]
) -> dict[str, float | None]:
    """Quality of one model and its parts, from original and gold of the same seed.

    Without these all are None.
    """
    original = ends["original"]
    gold = ends["gold"]
    if original is None or gold is None:
        return dict.fromkeys(("quality", *PARTS))
    parts: dict[str, float | None] = {}
    forgotten = [_value(found, FORGET) for found in (cell, original, gold)]
    parts["closeness"] = _known(closeness, forgotten)
    for name, key in (("retain", UTILITY), ("neighbour", NEIGHBOR)):
        before = _value(original, key)
        if before is not None:  # a benchmark may have no neighbors
            parts[name] = _known(kept, [_value(cell, key), before])
    if original.get("relearned") is not None:  # a plan may leave the attack away
        after = [found.get("relearned") for found in (cell, original, gold)]
        parts["resistance"] = _known(resistance, after)
    return {**dict.fromkeys(PARTS), **parts, "quality": quality(parts)}


def _value(found: Mapping[str, Any], key: str) -> float | None:
    return found["values"].get(key, {}).get("value")


def _known(part: Callable[..., float | None], values: Sequence[float | None]) -> float | None:
    """A part of quality, None where one of its values is missing."""
    return None if None in values else part(*values)


def summary(found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Measurement keys over seeds: mean and range; with one seed the measurement's own interval
    over groups.
    """
    keys = list(dict.fromkeys(k for c in found for k in c["values"]))
    made = {}
    for key in keys:
        measured = [c["values"][key] for c in found]
        made[key] = spread([m["value"] for m in measured], [m["interval"] for m in measured])
        if len(measured) == 1 and "warning" in measured[0]:
            made[key]["warning"] = measured[0]["warning"]
    return made


def spread(values: Sequence[float | None], intervals: Sequence[Any] = ()) -> dict[str, Any]:
    """Mean of the values that are there, with low and high: the range over seeds, or of a single
    seed its interval.

    A single value without an interval has neither: one number says nothing of its spread.
    """
    good = [v for v in values if v is not None]
    if not good:
        return {"mean": None, "low": None, "high": None, "values": list(values)}
    low, high = None, None
    if len(good) > 1:
        low = min(good)
        high = max(good)
    elif any(intervals):
        low, high = next(tuple(i) for i in intervals if i)
    return {"mean": sum(good) / len(good), "low": low, "high": high, "values": list(values)}


def mean(values: Any) -> float:
    some = list(values)
    return round(sum(some) / len(some), 2)


def settings(cell: Mapping[str, Any]) -> str:
    """A cell's arguments and training settings as one writes them on the command line; house
    defaults are omitted.
    """
    house = Training()
    given = {
        k: f["value"]
        for k, f in cell["settings"].items()
        if f["source"] != "house" and f["value"] != getattr(house, k, None)
    }
    given = {
        k: v
        for k, v in given.items()
        if k not in ("seed", "save_every") and cell["settings"][k]["source"] != "method"
    }
    told = {**cell["method"]["args"], **given}
    plain = {
        k: f"{v:g}"
        if isinstance(v, float)
        else json.dumps(v)
        if isinstance(v, (list, bool))
        else str(v)
        for k, v in told.items()
    }
    return " ".join(f"--{k.replace('_', '-')} {v}" for k, v in plain.items())


def command(out: Path) -> str:
    """The command as one writes it down: of absolute paths, which mean nothing elsewhere, the last
    part.
    """
    said = [w for w in sys.argv[1:] if w not in ("--quiet", "--debug", "--overwrite")]
    if "bench" in said:
        words = [Path(w).name if Path(w).is_absolute() else w for w in said]
    else:
        words = ["bench", f"{out.name}/plan.yaml"]
    return shlex.join(["expunge", *words])


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "?"
