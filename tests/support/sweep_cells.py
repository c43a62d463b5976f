# ruff: noqa: F401, F811 (fixtures are imported by name)
"""Cells of a sweep, made up by hand."""

from commands import expunge
from small import rows

from expunge.experiments.sweep.gather import spread


def made(n):
    """A gathered bench of n invented methods."""
    flat = lambda **values: {k.replace("__", "/"): spread([v, v]) for k, v in values.items()}
    point = lambda f, r: flat(
        forget__probability=f,
        retain__probability=r,
        neighbour__probability=r,
        forget__extraction_strength=f,
    )
    rows = {}
    for i in range(n):
        f, r = 0.05 + 0.9 * ((i * 7) % n) / n, 0.3 + 0.7 * ((i * 11) % n) / n
        level = point(min(f + 0.1, 1), 0.95) | {"u": spread([i / n, i / n])}
        more = flat(quality=r, relearned=f, garbled=0.5)
        some = (
            point(f, r)
            | more
            | {"steps": 60, "tokens": 1000, "seconds": 2.0, "at_level": level, "same": True}
        )
        rows[f"method_number_{i}"] = {
            "n": 2,
            "errors": [],
            "settings": "--lr 1",
            "preset": True,
            "at_settings": some,
        }
    plan = {"benchmark": "builtin", "seeds": [0, 1], "budget": 0, "level": 0.95, "relearn": {}}
    told = {
        "command": "expunge bench",
        "machine": "",
        "cpu_seconds": 1.0,
        "plan": plan,
        "skipped": {},
    }
    return {**told, "original": point(0.95, 0.95), "gold": point(0.1, 1.0), "methods": rows}
