"""The original and gold of a seed: trained once by the benchmark's own recipe, as ``expunge train``
does it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from expunge.core.requests import TrainRequest
from expunge.runs.folder import once

BUILTIN = "builtin"
SELF_TRAINED = (BUILTIN, "digits")  # of these a bench trains original and gold itself
ATTACK = "relearn"  # what a bench tries on every model; a plan's ``relearn`` holds its arguments
# The adversary of a bench: fine-tuning on a quarter of the forget groups, judged on the others.
RELEARN: Mapping[str, Any] = {
    "relearn_steps": 20,
    "relearn_lr": 5e-4,
    "relearn_batch": 16,
    "share": 0.25,
}
# the usual rate of fine-tuning a pretrained model
LARGE: Mapping[str, Any] = {**RELEARN, "relearn_lr": 1e-5}


def benchmark_for(name: str, seed: int) -> str:
    """The benchmark of a seed, as --benchmark names it: the built-in case has one for each seed."""
    if name == BUILTIN and seed:
        return f"{BUILTIN}:{seed}"
    return name


def trains_its_own(benchmark: str) -> bool:
    """Whether a bench trains original and gold of a benchmark: tiny models, in seconds."""
    return benchmark.partition(":")[0] in SELF_TRAINED


def attack_for(benchmark: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of the relearning attack on a benchmark's models, with what a plan gives on top."""
    return {**(RELEARN if trains_its_own(benchmark) else LARGE), **given}


def trained(place: Path, benchmark: str, seed: int, *, gold: bool, **training: Any) -> None:
    """The original (all rows) or gold (never saw the forget rows) in ``place``."""
    from expunge.pipeline.train import run_train

    settings: Mapping[str, Any] = {"save_every": 0, **training}
    asked = TrainRequest(
        model="tiny",
        benchmark=benchmark,
        on="retain" if gold else "full",
        out=str(place),
        seed=seed,
        quiet=True,
        **settings,
    )
    once(place, lambda: run_train(asked))
