"""A cell of a guard: nothing is trained, and what stands behind the guard is the original.

Whoever has the weights takes the guard away, so what relearning brings back is what it brings back
in the original itself. A guard has no weights to mix: where it keeps too little, equal utility
cannot be reached.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, cast

import numpy as np

from expunge.core.benchmark import Benchmark
from expunge.core.card import Call
from expunge.core.data import Case
from expunge.core.errors import Refused
from expunge.experiments.sweep.hardness import garbled, relearned, strangeness
from expunge.experiments.sweep.measures import STRENGTH, UTILITY, as_json, evaluated, whole
from expunge.models.causal_lm.model import Subject
from expunge.pipeline.guarded import guarded

ROLES = ("forget", "retain")


def check_guard(label: str, bench: Benchmark, case: Case) -> None:
    """Refuse a guard where it cannot be fitted."""
    if bench.stages:
        raise Refused(f"{label}: a guard stands before one model, and {bench.name} has stages")
    lacking = [role for role in ROLES if not case.train.get(role)]
    if lacking:
        raise Refused(f"{label} needs {lacking[0]} rows and there are none")


def guard_cell(
    called: Call,
    bench: Benchmark,
    original: Subject,
    ask: Mapping[str, Any],
    level: float,
    usual: np.ndarray | None,
) -> dict[str, Any]:
    """The numbers of a cell.

    Args:
        called: The guard with its arguments.
        bench: The benchmark; its training rows are what the guard is fitted on.
        original: The model that it stands before.
        ask: All that decides the cell's numbers.
        level: The retain probability that counts as equal utility.
        usual: How strange gold's answers are to the original; None without a gold.
    """
    check_guard(called.name, bench, bench.case)
    gone, kept = (bench.case.train[role] for role in ROLES)
    since = time.process_time()
    after = guarded(original, called, gone, kept, bench.name)
    seconds = round(time.process_time() - since, 2)
    found = evaluated(cast(Subject, after), bench, whole(bench))
    values = as_json(dict(found.results))
    utility = values[UTILITY]["value"]
    enough = utility is not None and utility >= level
    same = {k: v for k, v in values.items() if k.endswith("/probability") or k == STRENGTH}
    some = {
        "steps": 0,
        "tokens": 0,
        "seconds": seconds,
        "values": values,
        "at_level": {"u": 0.0, "values": same} if enough else {"u": None, "values": {}},
        "relearned": relearned(original, bench, ask["relearn"], ask["request"]["seed"]),
        "garbled": None
        if usual is None
        else garbled(strangeness(original, bench, found.mine), usual),
    }
    made = {
        "method": Call(called.name, after.fitted.args).as_json(),
        "settings": {},
        "preset": False,
        "guard": True,
        "level": level,
        "at_settings": some,
    }
    return made | ({"at_budget": some | {"same": True}} if ask["budget"] else {})
