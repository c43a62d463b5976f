"""What a request means once presets and defaults are filled in, and where each value came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from expunge import catalogue
from expunge.core.errors import Refused, unknown
from expunge.core.types import Benchmark, Call, Case
from expunge.data.cases import case_from_files
from expunge.data.overlap import drop, overlap, refusal
from expunge.data.read import read
from expunge.engine.judge import Judge
from expunge.engine.plan import Training

ALLOWED = {  # name -> (smallest, largest or None): what a training setting may be
    "lr": (0.0, 10.0),
    "epochs": (0.0, 1e6),
    "steps": (1, None),
    "batch": (1, None),
    "accumulate": (1, None),
    "warmup": (0.0, None),
    "weight_decay": (0.0, 10.0),
    "clip": (0.0, None),
    "save_every": (0, None),
    "seed": (0, 2**32 - 1),
}


@dataclass(frozen=True)
class Settled:
    """Training settings and, by name, the source of each: command line, preset, signature or house."""

    training: Training
    sources: Mapping[str, str]

    def as_json(self) -> dict[str, dict[str, Any]]:
        """What run.yaml keeps."""
        return {f.name: {"value": getattr(self.training, f.name), "source": self.sources[f.name]} for f in fields(Training)}


def training_settings(request: Any, preset: Mapping[str, Any], preset_name: str = "preset", house: Training = Training()) -> Settled:
    """Command line > preset > house default. Refused if a value is out of its range."""
    asked = {f.name: getattr(request, f.name, None) for f in fields(Training)}
    given = {k: v for k, v in asked.items() if v is not None}
    known = {k: v for k, v in preset.items() if k in asked}
    if "epochs" in given and "steps" not in given:
        known.pop("steps", None)  # asked for epochs, so a preset's steps must not overrule them
    for name, value in (known | given).items():
        low, high = ALLOWED.get(name, (None, None))
        if low is not None and not (low <= value and (high is None or value <= high)):
            raise Refused(
                f"--{name.replace('_', '-')} {value}: must be at least {low}" + (f" and at most {high}" if high is not None else "")
            )
    training = replace(house, **known | given)
    source = lambda n: "command line" if n in given else preset_name if n in known else "house"
    return Settled(training, {n: source(n) for n in asked})


def preset_of(request: Any, bench: Benchmark | None) -> tuple[Call, Mapping[str, Any]]:
    """The method with the arguments of the preset under the user's own, and the preset's training settings.

    The preset is the one asked for, or that of the run's benchmark, if the card has it; a published name has presets of its own.
    """
    found = catalogue.member("methods", request.method.name)
    alias = "" if request.method.name == found.name else request.method.name + ":"
    published = {
        k.removeprefix(alias): v for k, v in found.card.get("settings", {}).items() if k.startswith(alias) and (alias or ":" not in k)
    }
    if request.preset and request.preset not in published:
        raise unknown(f"preset of {request.method.name}", request.preset, published)
    preset = published.get(request.preset or (bench.name if bench else ""), {})
    own = {a.name for a in found.arguments}
    arguments = {k: v for k, v in preset.items() if k in own}
    return Call(request.method.name, {**arguments, **request.method.args}), {k: v for k, v in preset.items() if k not in own}


def benchmark_of(request: Any) -> Benchmark | None:
    """The benchmark that ``name:split`` or ``name:split:subset`` names, with the folder of rows and the holdout source of the request."""
    if not request.benchmark:
        return None
    name, _, split = request.benchmark.partition(":")
    given = {"data": request.data or "", "holdout": request.holdout or "", "subset": getattr(request, "subset", None) or "", "split": split}
    known = {a.name for a in catalogue.member("benchmarks", name).arguments}
    if "subset" in known and ":" in split:
        given["split"], _, given["subset"] = split.partition(":")
    if given["subset"] and "subset" not in known:
        raise Refused(f"benchmark {name} has no subsets; leave --subset away")
    return catalogue.resolve("benchmarks", name, {k: v for k, v in given.items() if v and k in known})


def case_of(request: Any) -> tuple[Benchmark | None, Case]:
    """The case of a request: the benchmark's, or one made of the user's own files. Refused if neither or both are given."""
    own = [n for n in ("forget", "retain") if getattr(request, n, None)]
    if request.benchmark:
        if own and request.verb not in ("train", "unlearn"):
            raise Refused(f"give either --benchmark or --{own[0]}, not both")
        bench = benchmark_of(request)
        assert bench is not None
        return at_stage(_completed(bench, request, own) if own else bench, request.benchmark, getattr(request, "stage", ""))
    if getattr(request, "stage", ""):
        raise Refused(f"--stage {request.stage}: only a benchmark has stages; give --benchmark, or leave --stage away")
    if getattr(request, "domain", "") and not request.forget:  # the forget rows will be written
        retain = read(request.retain, role="retain", columns=request.columns or None) if request.retain else ()
        return None, Case({"retain": retain}, {"retain": retain})
    if not own:
        raise Refused("which data? give --benchmark NAME:SPLIT, or --forget FILE (and --retain FILE)")
    case = case_from_files(request.forget, request.retain, request.holdout, columns=request.columns or None)
    return None, _apart(case, request.allow_overlap)


def at_stage(bench: Benchmark, name: str, stage: str) -> tuple[Benchmark, Case]:
    """The benchmark with the case of one of its stages in place of its own; as it is without ``stage``. ``name``: as it was asked for."""
    if not stage:
        return bench, bench.case
    if not bench.stages:
        raise Refused(f"--stage {stage}: {name} has no stages; leave --stage away")
    if stage not in bench.stages:
        raise unknown(f"stage of {name}", stage, bench.stages)
    return replace(bench, case=bench.stages[stage]), bench.stages[stage]


def longest_of(bench: Benchmark | None) -> int:
    """How long a benchmark says that its rows may be, in tokens; 0 if it says nothing."""
    return int(bench.generate.get("max_length", 0)) if bench else 0


def _completed(bench: Benchmark, request: Any, own: list[str]) -> Benchmark:
    """The benchmark with the user's rows where it brings none to train on (RESTOR has nothing to keep, MMLU nothing at all)."""
    for role in own:
        if bench.case.train.get(role):
            raise Refused(f"give either --benchmark or --{role}, not both: {bench.name} brings {role} rows of its own")
    rows = {role: read(getattr(request, role), role=role, columns=request.columns or None, id_prefix=f"own/{role}") for role in own}

    def whole(case: Case) -> Case:
        train = {name: kept for name, kept in case.train.items() if name != "full"} | rows  # full is then all of them together
        return Case(_apart(Case(train, {}), request.allow_overlap).train, case.evaluate)

    return replace(bench, case=whole(bench.case), stages={name: whole(case) for name, case in bench.stages.items()})


def _apart(case: Case, allow: str | None) -> Case:
    """Forget rows that also stand in retain would be taught and untaught at once: refused, or dropped from retain, or kept on demand."""
    forget, retain = case.train.get("forget", ()), case.train.get("retain", ())
    pairs = overlap(forget, retain)
    if not pairs or allow == "keep":
        return case
    if allow != "drop":
        raise refusal(pairs)
    kept = drop(forget, retain)
    return Case({**case.train, "retain": kept}, {**case.evaluate, "retain": kept})


def judges_of(bench: Benchmark | None, case: Case, asked: tuple[str, ...] = ()) -> list[Judge]:
    """The metrics of a run: the benchmark's, or those that make sense of plain files; or the ones asked for by name."""
    own: list[tuple[str, str | None]] = [
        (m, r) for r in ("forget", "retain", "holdout") if case.evaluate.get(r) for m in ("probability", "rouge_l_recall")
    ]
    # the leaders of results/meta.md that need S1 and at most a gold; extraction strength has no false alarm there, and ROUGE says what
    # a user would read, though it holds little
    own += [(m, "forget") for m in ("exact_memorisation", "extraction_strength") if case.evaluate.get("forget")]
    own += [(m, None) for m in ("mia_reference", "mia_min_k", "mia_loss", "privleak") if case.evaluate.get("forget")]
    entries = list(bench.metrics) if bench else own
    if asked:
        names = {m for m, _ in entries}
        for name in asked:
            catalogue.member("metrics", name)
            if name not in names:
                whole = catalogue.member("metrics", name).card.get("whole", False)
                entries += [(name, None)] if whole else [(name, r) for r in case.evaluate]
        entries = [(m, r) for m, r in entries if m in asked]
    given = lambda m, r: dict(bench.arguments.get(f"{r}/{m}", bench.arguments.get(m, {}))) if bench else {}
    return [judge(Call(m, given(m, r)), r) for m, r in entries]


def judge(call: Call, role: str | None) -> Judge:
    """A metric by name, ready for a role."""
    module = catalogue.load("metrics", call.name)
    return Judge(call.name, getattr(module, call.name), module.card, role, call.args)


def out_of(request: Any) -> Path:
    """Where the run goes; Refused if no --out was given."""
    if not request.out:
        raise Refused("where to? give --out FOLDER")
    return Path(request.out)
