"""What a request means once presets and defaults are filled in, and where each value came from."""

from __future__ import annotations

from ast import literal_eval
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from expunge import registry
from expunge.core.benchmark import Benchmark
from expunge.core.card import Call
from expunge.core.data import Case
from expunge.core.errors import Refused, listed, unknown
from expunge.core.escape import say
from expunge.core.results import EMPTY
from expunge.core.sameness import plain
from expunge.core.stages import Adapter, Descent, Method, Stage, stages
from expunge.data.cases import case_from_files
from expunge.data.near import tell
from expunge.data.overlap import drop, overlap, refusal
from expunge.data.read import read
from expunge.evaluation.metric import Judge
from expunge.models.base import TrainableModel
from expunge.models.ensemble import Ensemble
from expunge.scoring.per_row import is_unlearned
from expunge.training.retrain import as_trained
from expunge.training.sampler import Training
from expunge.training.stages import adapter_for, training_of

ADAPTER = ("lora", "lora_alpha", "lora_targets", "lora_dropout")


@dataclass(frozen=True)
class ResolvedSettings:
    """Training settings and, by name, the source of each: command line, preset, method or house;
    and the adapter that is asked for.
    """

    training: Training
    sources: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    adapter: Adapter | None = None

    def as_json(self, method: Method | Stage = ()) -> dict[str, dict[str, Any]]:
        """What run.yaml keeps: the settings with which the method's last training ran
        (``stages_json`` tells those of the others).
        """
        last = next((s for s in reversed(stages(method)) if isinstance(s, Descent)), Descent())
        ran, own = training_of(last, self.training), dict(last.training)
        kept = {
            f.name: {
                "value": getattr(ran, f.name),
                "source": "method" if f.name in own else self.sources[f.name],
            }
            for f in fields(Training)
        }
        adapter = adapter_for(last, self.adapter)
        if adapter:
            values = dict(
                zip(
                    ADAPTER,
                    (adapter.rank, adapter.alpha, adapter.targets, adapter.dropout),
                    strict=True,
                )
            )
            kept |= {
                k: {
                    "value": v,
                    "source": self.sources.get(k, "method" if last.adapter else "house"),
                }
                for k, v in values.items()
            }
        return kept

    def going_on(self, subject: TrainableModel) -> ResolvedSettings:
        """The settings with the adapter that the model came with, if there is one: it is the one
        that is trained.
        """
        if isinstance(subject, Ensemble):
            given = [name for name, source in self.sources.items() if source == "command line"]
            before = as_trained(subject, self.training, given)
            return replace(self, training=before, sources=dict.fromkeys(self.sources, "model"))
        if subject.adapter is None:
            return self
        return replace(
            self,
            adapter=subject.adapter,
            sources={**self.sources, **dict.fromkeys(ADAPTER, "model")},
        )

    def stages_json(self, method: Method | Stage) -> dict[str, dict[str, Any]]:
        """Stage by stage, by name, the settings that are not those of ``as_json``; nothing of a
        stage that shares them all.
        """
        shared = {k: v["value"] for k, v in self.as_json(method).items()}
        told = {}
        for stage in stages(method):
            if isinstance(stage, Descent):
                ran = training_of(stage, self.training)
                told[stage.name] = {
                    k: v for k in shared if (v := getattr(ran, k, shared[k])) != shared[k]
                }
        return {name: differing for name, differing in told.items() if differing}


def typed(request: Any) -> dict[str, Any]:
    """The training settings that the user gave, by name."""
    asked = {f.name: getattr(request, f.name, None) for f in fields(Training)}
    return {name: value for name, value in asked.items() if value is not None}


def training_settings(
    request: Any,
    preset: Mapping[str, Any],
    preset_name: str = "preset",
    house: Training = Training(),
) -> ResolvedSettings:
    """Command line > preset > house default.

    ``Training`` refuses a value that is out of its range.
    """
    names = (*(f.name for f in fields(Training)), *ADAPTER)
    asked = {name: getattr(request, name, None) for name in names}
    given = {k: v for k, v in asked.items() if v is not None}
    known = {k: v for k, v in preset.items() if k in asked}
    if "epochs" in given and "steps" not in given:
        known.pop("steps", None)  # asked for epochs, so a preset's steps must not overrule them
    training = replace(house, **{k: v for k, v in (known | given).items() if k not in ADAPTER})
    sources = dict.fromkeys((f.name for f in fields(Training)), "house") | dict.fromkeys(
        known, preset_name
    )
    return ResolvedSettings(
        training, sources | dict.fromkeys(given, "command line"), adapter_of(given, known)
    )


def adapter_of(given: Mapping[str, Any], preset: Mapping[str, Any]) -> Adapter | None:
    """The adapter that a command line and a preset ask for; None if neither does, or if ``--lora
    0`` says so.

    Another rank than the preset's takes the preset's scaling along. A rank of 0 is left to the
    method's own adapter.
    """
    if given.get("lora") == 0 or not any(name in ADAPTER for name in (*given, *preset)):
        return None
    rank = given.get("lora", preset.get("lora", 0))
    alpha = preset.get("lora_alpha", 0.0)
    if alpha and preset.get("lora") and rank:
        alpha = alpha * rank / preset["lora"]
    known = {**preset, **given}
    return Adapter(
        rank,
        given.get("lora_alpha", alpha),
        known.get("lora_targets", ""),
        dropout=known.get("lora_dropout", 0.0),
    )


def uncontradicted(asked: Mapping[str, Any], method: Method | Stage, name: str) -> None:
    """Refuse a training setting of the user's that no stage of the method would follow, because
    each has a value of its own.
    """
    descents = [s for s in stages(method) if isinstance(s, Descent)]
    for key, value in asked.items():
        own = [s.training[key] for s in descents if key in s.training]
        if value is not None and descents and len(own) == len(descents) and value not in own:
            option = f"--{key.replace('_', '-')}"
            instead = (
                f"{option} {own[-1]}"
                if own[-1] is not None
                else f"its own {descents[-1].training['epochs']:g} epochs"
            )
            raise Refused(
                f"{option} {value}: {name} is carried out with {instead}, which is part of it; "
                f"leave {option} away"
            )


def preset_of(request: Any, bench: Benchmark | None) -> tuple[Call, Mapping[str, Any]]:
    """The method with the arguments of the preset under the user's own, and the preset's training
    settings.

    The preset is the one asked for, or that of the run's benchmark, if the card has it; a published
    name has presets of its own.
    """
    found = registry.member("methods", request.method.name)
    alias = "" if request.method.name == found.name else request.method.name + ":"
    published = {
        k.removeprefix(alias): v
        for k, v in found.card.get("settings", {}).items()
        if k.startswith(alias) and (alias or ":" not in k)
    }
    if request.preset and request.preset not in published:
        raise unknown(f"preset of {request.method.name}", request.preset, published)
    preset = published.get(request.preset or (bench.name if bench else ""), {})
    own = {a.name for a in found.arguments}
    arguments = {k: v for k, v in preset.items() if k in own}
    return Call(request.method.name, {**arguments, **request.method.args}), {
        k: v for k, v in preset.items() if k not in own
    }


def method_of(
    request: Any, bench: Benchmark | None
) -> tuple[Call, Method | Stage, Mapping[str, Any]]:
    """The method of a request as it is called, itself, and its preset's training settings: the one
    place where commands, Python and bench plans make a method by name. Refused: an argument or a
    training setting that would do nothing.
    """
    called, preset = preset_of(request, bench)
    without_idle(request, bench)
    method = registry.resolve("methods", called.name, called.args)
    uncontradicted(typed(request), method, called.name)
    return called, method, preset


def without_idle(request: Any, bench: Benchmark | None) -> None:
    """Refuse an argument of the method that the user gave and that changes nothing beside the
    others (a term whose weight is 0).

    An argument that says what would have been anyway is no fault; a term is one, because it is
    asked for to have an effect.
    """
    name, args = request.method.name, dict(request.method.args)
    terms = {a.name for a in registry.member("methods", name).arguments if a.annotation == "Term"}

    def made(given: Mapping[str, Any]) -> Call:
        return preset_of(replace(request, method=Call(name, given)), bench)[0]

    def meaning(called: Call) -> Any:
        return plain(registry.resolve("methods", called.name, called.args))

    for key, value in args.items():
        rest = {k: v for k, v in args.items() if k != key}
        other = made(rest)
        if key in terms:
            other = made({**rest, key: "nll" if value == "kl" else "kl"})
        elif _said(name, key, value) == _said(name, key, other.args.get(key)):
            continue
        if meaning(made(args)) == meaning(other):
            weight = key.removesuffix("_term") + "_weight"
            advice = f"give --{weight.replace('_', '-')} too" if key in terms else "leave it away"
            said = getattr(value, "name", value)  # a term made in Python
            raise Refused(
                f"--{key.replace('_', '-')} {said} does nothing: {name} is the same without it as "
                f"it was called; {advice}"
            )


def _said(name: str, key: str, value: Any) -> Any:
    """A value of an argument as its signature takes it; the default for None."""
    argument = next((a for a in registry.member("methods", name).arguments if a.name == key), None)
    if argument is None:
        return value
    return registry.convert(
        argument, literal_eval(argument.default) if value is None else value, name
    )


def benchmark_of(request: Any) -> Benchmark | None:
    """The benchmark that ``name:split`` or ``name:split:subset`` names, with the folder of rows and
    the holdout source of the request.
    """
    if not request.benchmark:
        return None
    name, _, split = request.benchmark.partition(":")
    given = {
        "data": request.data or "",
        "holdout": request.holdout or "",
        "subset": getattr(request, "subset", None) or "",
        "split": split,
    }
    known = {a.name for a in registry.member("benchmarks", name).arguments}
    if "subset" in known and ":" in split:
        given["split"], _, given["subset"] = split.partition(":")
    if given["subset"] and "subset" not in known:
        raise Refused(f"benchmark {name} has no subsets; leave --subset away")
    return registry.resolve(
        "benchmarks", name, {k: v for k, v in given.items() if v and k in known}
    )


def case_of(request: Any) -> tuple[Benchmark | None, Case]:
    """The case of a request: the benchmark's, or one made of the user's own files.

    Refused if neither or both are given.
    """
    own = [n for n in ("forget", "retain") if getattr(request, n, None)]
    if request.benchmark:
        if own and request.verb not in ("train", "unlearn"):
            raise Refused(f"give either --benchmark or --{own[0]}, not both")
        bench = benchmark_of(request)
        assert bench is not None
        found = at_stage(
            _completed(bench, request, own) if own else bench,
            request.benchmark,
            getattr(request, "stage", ""),
        )
        tell_absent(bench, getattr(request, "quiet", False))
        return found
    if getattr(request, "stage", ""):
        raise Refused(
            f"--stage {request.stage}: only a benchmark has stages; give --benchmark, or leave "
            f"--stage away"
        )
    if getattr(request, "domain", "") and not request.forget:  # the forget rows will be written
        retain = (
            read(request.retain, role="retain", columns=request.columns or None)
            if request.retain
            else ()
        )
        return None, Case({"retain": retain}, {"retain": retain})
    if not own:
        raise Refused(
            "which data? give --benchmark NAME:SPLIT, or --forget FILE (and --retain FILE)"
        )
    case = case_from_files(
        request.forget, request.retain, request.holdout, columns=request.columns or None
    )
    case = _apart(case, request.allow_overlap)
    tell(case)
    return None, case


def tell_absent(bench: Benchmark, quiet: bool = False, why: bool = False) -> None:
    """One line on standard error that names what a benchmark leaves out; none if that is nothing.

    ``why``: a line for each, with why.
    """
    if why:
        for name, reason in bench.absent.items():
            say(f"{bench.name}: {name}: left out: {reason}")
    elif bench.absent and not quiet:
        say(f"{bench.name}: left out: {listed(bench.absent)} (run.yaml says why)")


def absent_of(bench: Benchmark | None) -> dict[str, Any]:
    """What run.yaml says of what a benchmark leaves out: {} or {"absent": {role or part: reason}}."""
    return {"absent": dict(bench.absent)} if bench and bench.absent else {}


def at_stage(bench: Benchmark, name: str, stage: str) -> tuple[Benchmark, Case]:
    """The benchmark with the case of one of its stages in place of its own; as it is without
    ``stage``. ``name``: as it was asked for.
    """
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
    """The benchmark with the user's rows where it brings none to train on (RESTOR has nothing to
    keep, MMLU nothing at all).
    """
    for role in own:
        if bench.case.train.get(role):
            raise Refused(
                f"give either --benchmark or --{role}, not both: {bench.name} brings {role} rows "
                f"of its own"
            )
    rows = {
        role: read(
            getattr(request, role),
            role=role,
            columns=request.columns or None,
            id_prefix=f"own/{role}",
        )
        for role in own
    }

    def whole(case: Case) -> Case:
        # full is then all of them together
        train = {name: kept for name, kept in case.train.items() if name != "full"} | rows
        return Case(_apart(Case(train, {}), request.allow_overlap).train, case.evaluate)

    return replace(
        bench,
        case=whole(bench.case),
        stages={name: whole(case) for name, case in bench.stages.items()},
    )


def _apart(case: Case, allow: str | None) -> Case:
    """Forget rows that also stand in retain would be taught and untaught at once: refused, or
    dropped from retain, or kept on demand.
    """
    forget, retain = case.train.get("forget", ()), case.train.get("retain", ())
    pairs = overlap(forget, retain)
    if not pairs or allow == "keep":
        return case
    if allow != "drop":
        raise refusal(pairs)
    kept = drop(forget, retain)
    return Case({**case.train, "retain": kept}, {**case.evaluate, "retain": kept})


SIDE_OPTION = {"forgotten": "--forget", "kept": "--retain"}


def judges_of(bench: Benchmark | None, case: Case, asked: tuple[str, ...] = ()) -> list[Judge]:
    """The metrics of a run: the benchmark's, or those that make sense of plain files; or the ones
    asked for by name.
    """
    own: list[tuple[str, str | None]] = [
        (m, r)
        for r in ("forget", "retain", "holdout")
        if case.evaluate.get(r)
        for m in ("probability", "rouge_l_recall")
    ]
    # the leaders of results/meta.md that need one forward and at most a gold; extraction strength has no
    # false alarm there, and ROUGE says what a user would read, though it holds little
    own += [
        (m, "forget")
        for m in ("exact_memorization", "extraction_strength")
        if case.evaluate.get("forget")
    ]
    own += [
        (m, None)
        for m in ("mia_reference", "mia_min_k", "mia_loss", "privleak")
        if case.evaluate.get("forget")
    ]
    # whether membership can be read off the words alone: holdout rows of another kind make every
    # membership score meaningless
    own += (
        [("blind_baseline", None)]
        if case.evaluate.get("forget") and case.evaluate.get("holdout")
        else []
    )
    entries = list(bench.metrics) if bench else own
    if asked:
        names = {m for m, _ in entries}
        for name in asked:
            registry.member("metrics", name)
            if name not in names:
                card = registry.member("metrics", name).card
                entries += (
                    [(name, None)]
                    if card.get("whole", False)
                    else [(name, r) for r in _roles_for(name, card, case)]
                )
        entries = [(m, r) for m, r in entries if m in asked]
    given = lambda m, r: (
        dict(bench.arguments.get(f"{r}/{m}", bench.arguments.get(m, {}))) if bench else {}
    )
    return [judge(Call(m, given(m, r)), r) for m, r in entries]


def _roles_for(name: str, card: Mapping[str, Any], case: Case) -> list[str]:
    """The roles of the case that a metric by role speaks of; Refused where there is none."""
    side = card.get("side", "")
    found = [r for r in case.evaluate if not side or is_unlearned(r) == (side == "forgotten")]
    if not found:
        raise Refused(
            f"metric {name} is of roles that are {side}, and the data have none; give "
            f"{SIDE_OPTION[side]}"
        )
    return found


def judge(call: Call, role: str | None) -> Judge:
    """A metric by name, ready for a role.

    Refused: an argument that it does not have, or a value that it cannot be.
    """
    module = registry.load("metrics", call.name)
    return Judge(
        call.name,
        getattr(module, call.name),
        module.card,
        role,
        registry.checked("metrics", call.name, call.args),
    )


def out_of(request: Any) -> Path:
    """Where the run goes; Refused if no --out was given."""
    if not request.out:
        raise Refused("where to? give --out FOLDER")
    return Path(request.out)
