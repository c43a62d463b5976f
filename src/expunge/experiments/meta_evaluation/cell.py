"""One model of the meta-evaluation: made, measured by every metric at once, its values kept as a
file.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from statistics import fmean
from typing import Any

from expunge import api, registry
from expunge.core.benchmark import Benchmark
from expunge.core.card import Call
from expunge.core.data import Case, Examples
from expunge.core.requests import UnlearnRequest
from expunge.core.results import EMPTY, Measurement, Record, Records
from expunge.evaluation.evaluate import EvaluationSettings, evaluate_one, observe_reference
from expunge.evaluation.metric import Judge
from expunge.evaluation.observations.base import References
from expunge.experiments.meta_evaluation.pool import BEFORE, OTHER_WORLD, Member, rows_of
from expunge.experiments.sweep.cell import write_cell
from expunge.experiments.sweep.recipe import BUILTIN, benchmark_for
from expunge.models.causal_lm.lora import merged
from expunge.models.causal_lm.model import Subject
from expunge.models.families.find import load, save
from expunge.models.families.source import ModelSource
from expunge.pipeline.attack_sweep import attacked as tried
from expunge.pipeline.attack_sweep import inputs_of
from expunge.pipeline.settings import judge
from expunge.pipeline.train import fresh_tiny
from expunge.pipeline.unlearn import resolve, unlearn
from expunge.training.sampler import Training

KEPT = ("retain", "neighbour")
SETTINGS = "meta:builtin"  # of the cards of attacks


def case_at(seed: int) -> Benchmark:
    name, _, split = benchmark_for(BUILTIN, seed).partition(":")
    made: Benchmark = registry.resolve("benchmarks", name, {"split": split} if split else {})
    return made


def judges_for(metrics: tuple[str, ...], bench: Benchmark) -> list[Judge]:
    """Those of the metrics that read the forget rows."""
    found = []
    for name in metrics:
        card = registry.member("metrics", name).card
        made = judge(
            Call(name, dict(bench.arguments.get(name, {}))), None if card.get("whole") else "forget"
        )
        if "forget" in made.roles:
            found.append(made)
    return found


@lru_cache(maxsize=1)
def beside(
    seed: int, steps: int, models: str, metrics: tuple[str, ...]
) -> tuple[Benchmark, Subject, Subject, Records]:
    """The case, original, gold and the records of both that metrics read; once for all cells of a
    worker.
    """
    bench = case_at(seed)
    original, gold = (
        load(str(place_of(models, name, seed, steps))) for name in ("original", "gold")
    )
    judges = judges_for(metrics, bench)
    settings = EvaluationSettings(bench.generate)
    seen: list[Record] = []
    for name, subject in (("gold", gold), ("original", original)):
        seen += observe_reference(subject, name, bench.case, judges, settings, References(original))
    return bench, original, gold, Records(seen)


def place_of(models: str, name: str, seed: int, steps: int) -> Path:
    return Path(models) / f"{name}-s{seed}{f'-{steps}' * bool(steps)}"


def baseline(models: str, seed: int, steps: int) -> None:
    """The base of a case, then the original and gold that every model is compared with.

    ``steps``: 0 for the recipe's own.

    All models of a case are fine-tuned from one base that learned another world: hidden states of
    models from different random weights could not be compared, and no model that people unlearn
    begins at random weights either.
    """
    bench = case_at(seed)
    before = case_at(seed + BEFORE)
    both = Case(
        {**bench.case.train, "before": before.case.train["full"]},
        {**bench.case.evaluate, **others_of(seed).case.train},
    )

    def start() -> Subject:
        return load(str(place_of(models, "base", seed, steps)))

    for name, source, rows in (
        ("base", lambda: fresh_tiny(both, seed), before.case.train["full"]),
        ("original", start, bench.case.train["full"]),
        ("gold", start, bench.case.train["retain"]),
    ):
        place = place_of(models, name, seed, steps)
        if not (place / "config.json").exists():
            save(trained(source(), rows, bench, seed, steps), place)


def others_of(seed: int) -> Benchmark:
    """The world of the facts about others."""
    return case_at(seed + OTHER_WORLD)


def trained(
    start: Subject, rows: Examples, bench: Benchmark, seed: int, steps: int, share: float = 1.0
) -> Subject:
    """A model after the benchmark's own recipe on some rows, or a share of its steps."""
    recipe: dict[str, Any] = {**bench.settings, "seed": seed, "save_every": 0}
    with tempfile.TemporaryDirectory() as scratch:
        return api.train(
            start,
            forget=rows,
            on="forget",
            out=Path(scratch),
            **recipe | {"steps": steps or round(recipe["steps"] * share)},
        )


def values(subject: Subject, ask: Mapping[str, Any], models: str) -> dict[str, Any]:
    """Every metric on the forget rows in one measurement, and the mean probability of what is to be
    kept.
    """
    metrics = tuple(ask["metrics"])
    bench, original, gold, others = beside(ask["seed"], ask["steps"], models, metrics)
    since = time.process_time()
    judges = [*judges_for(metrics, bench), *(judge(Call("probability"), role) for role in KEPT)]
    references = References(original, gold)
    seen = evaluate_one(
        subject, bench.case, judges, EvaluationSettings(bench.generate), references, others
    )
    found: dict[str, Measurement] = dict(seen.results)
    kept = [found.pop(f"{role}/probability").value for role in KEPT]
    told = {}
    for key, m in found.items():
        told[key.removeprefix("forget/")] = {
            "value": m.value,
            "better": m.better,
            "reason": m.reason,
        }
    probability = fmean(float(x) for x in kept if x is not None)
    return {
        "values": told,
        "kept": probability,
        "cost": dict(seen.facts["passes"]["unlearned"]["more"]),
        "seconds": round(time.process_time() - since, 2),
    }


def pool_cell(place: str, ask: dict[str, Any], models: str) -> None:
    """A model of the pool, trained from the base."""
    member = Member(**ask["member"])
    bench = case_at(ask["seed"])
    start = load(str(place_of(models, "base", ask["seed"], ask["steps"])))
    model = trained(
        start,
        rows_of(member, bench, others_of(ask["seed"])),
        bench,
        member.seed,
        ask["steps"],
        member.share,
    )
    write(place, ask, {"as_is": values(model, ask, models)})


def unlearned_cell(place: str, ask: dict[str, Any], models: str) -> None:
    """An unlearned model (or gold, where there is no method) as it is and after each attack."""
    bench, original, gold, _ = beside(ask["seed"], ask["steps"], models, tuple(ask["metrics"]))
    model = unlearned(original, bench, ask) if ask["method"] else gold
    write(place, ask, {name: values(after, ask, models) for name, after in attacked(model, bench)})


def unlearned(original: Subject, bench: Benchmark, ask: Mapping[str, Any]) -> Subject:
    """The original after a method at its card's settings for the built-in case."""
    request = UnlearnRequest(
        method=Call(ask["method"]),
        benchmark=bench.name,
        seed=ask["seed"],
        steps=ask["steps"] or None,
        save_every=0,
    )
    job = resolve(request, bench, bench.case, lambda: original)
    return merged(unlearn(ModelSource.lent(original), job.method, job.inputs, job.settings))


def attacked(model: Subject, bench: Benchmark) -> Iterator[tuple[str, Subject]]:
    """The model as it is, and by the attack's name after each one whose card says how it is tried
    here.
    """
    yield "as_is", model
    seed = Training().seed
    for name in registry.sound("attacks"):
        arguments = registry.member("attacks", name).card.get("settings", {}).get(SETTINGS)
        if arguments is None:
            continue
        attack = registry.resolve("attacks", name, arguments)
        inputs = inputs_of(attack, bench.case.train, seed)
        yield name, tried(ModelSource.lent(model), attack, inputs, seed)


def write(place: str, ask: Mapping[str, Any], found: Mapping[str, Any] = EMPTY) -> None:
    write_cell(Path(place), ask, found)
