"""Attack a model and measure again: recovery curves for the demo and the audit, one folder per (model, attack)."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from expunge import registry
from expunge.core.card import Call
from expunge.core.data import Case, Examples, Row
from expunge.core.files import write_json
from expunge.core.results import Measurement
from expunge.evaluation.cache import measured
from expunge.evaluation.metric import Judge, judged, wants_of
from expunge.models.causal_lm.load import digest_tensors, load
from expunge.models.causal_lm.model import Subject
from expunge.models.causal_lm.tokenize import encode
from expunge.pipeline.settings import judge
from expunge.runs.folder import open_run
from expunge.training.sampler import Training, taken
from expunge.training.stages import change

WATCHED = (("probability", "forget"), ("probability", "retain"))


def relearned(
    model: str, label: str, benchmark: str, out: Path, *, steps: Sequence[int], share: float, lr: float, batch: int, seed: int = 0
) -> Path:
    """Probability on forget rows that the adversary did not hold, after each number of relearning steps; 0 is the model as it is.

    Every point starts anew from the model, so that each is what an adversary with that budget would get.
    """
    case, subject = case_of(benchmark), load(model)
    held, unseen = unheld(case, share, seed)
    rows = {"forget": encode(subject.tokenizer, case.train["forget"])}
    args = {"relearn_lr": lr, "relearn_batch": batch, "share": share}
    with open_run(out, verb="attack", request={"model": model, "attack": "relearn", "steps": list(steps), **args}) as run:
        points = [measure(subject, unseen)]
        for n in steps:
            points.append(measure(relearnt(subject, rows, {**args, "relearn_steps": n}, seed), unseen))
        facts = {"name": "relearn", "args": args, "of": label, "held": held}
        curve = curve_of("relearn", label, [0, *steps], "relearning steps", points)
        write_json(out / "curves.json", curve)
        whole = {"label": f"{label} relearned", "kind": "attacked", "attack": facts, "seed": seed}
        run.finish(**whole)
    return out


def unheld(case: Case, share: float, seed: int) -> tuple[int, dict[str, Examples]]:
    """How many forget groups the adversary holds, and the evaluation rows with those of the other forget groups only."""
    held = frozenset(e.group for e in taken(case.train["forget"], share, seed))
    others = tuple(e for e in case.evaluate["forget"] if e.group not in held)
    return len(held), {**case.evaluate, "forget": others}


def relearnt(subject: Subject, rows: Mapping[str, Sequence[Row]], args: Mapping[str, Any], seed: int) -> Subject:
    """The model after the relearning attack with these arguments; ``subject`` stays as it is."""
    attack = registry.resolve("attacks", "relearn", args)
    with tempfile.TemporaryDirectory() as place:
        return change(subject, attack, rows, Training(seed=seed, save_every=0), Path(place))


def quantised(model: str, label: str, benchmark: str, out: Path, *, bits: Sequence[int]) -> Path:
    """Probability on the forget rows after rounding the weights to each number of bits."""
    case, subject = case_of(benchmark), load(model)
    with open_run(out, verb="attack", request={"model": model, "attack": "quantise", "bits": list(bits)}) as run:
        points = [measure(subject, case.evaluate)]
        for n in bits:
            attack = registry.resolve("attacks", "quantise", {"bits": n})
            with tempfile.TemporaryDirectory(dir=out) as place:
                points.append(measure(change(subject, attack, {}, Training(), Path(place)), case.evaluate))
        write_json(out / "curves.json", curve_of("quantise", label, ["as is", *(f"{n}-bit" for n in bits)], "weights", points))
        attack_facts = {"name": "quantise", "args": {"bits": list(bits)}, "of": label}
        whole = {"label": f"{label} rounded", "kind": "attacked", "attack": attack_facts}
        run.finish(**whole)
    return out


def case_of(benchmark: str) -> Case:
    name, _, split = benchmark.partition(":")
    return registry.resolve("benchmarks", name, {"split": split} if split else {}).case


def measure(subject: Subject, roles: Mapping[str, Examples]) -> dict[str, Measurement]:
    """The watched probabilities: one teacher-forced pass over the answers, no generation."""
    judges: list[Judge] = [judge(Call(name), role) for name, role in WATCHED if roles.get(role or "")]
    subject = replace(subject, digest=subject.digest or digest_tensors(subject.model))
    records, _ = measured(subject, roles, wants_of(judges, list(roles)), salt="watched")
    return judged(judges, records, None)


def curve_of(attack: str, label: str, x: Sequence[Any], xlabel: str, points: Sequence[Mapping[str, Measurement]]) -> dict[str, Any]:
    """curves.json: one series per measurement key."""
    series = {key: [p[key].as_json() for p in points] for key in points[0]}
    return {"attack": attack, "of": label, "x": list(x), "xlabel": xlabel} | series
