"""Apply a method to a model: the one composition that the command, Python, sweeps, tuning and
meta-evaluation share.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from expunge.core.benchmark import Benchmark
from expunge.core.card import Call
from expunge.core.data import Case, Row
from expunge.core.escape import say, tell
from expunge.core.progress import Tick, bar
from expunge.core.requests import UnlearnRequest
from expunge.core.results import EMPTY
from expunge.core.stages import Method, Stage
from expunge.data.kinds import understood
from expunge.models.causal_lm.model import Subject
from expunge.models.families.source import ModelSource
from expunge.models.remote import Remote
from expunge.pipeline.cost import expected
from expunge.pipeline.guarded import loaded
from expunge.pipeline.record import ModelRecord
from expunge.pipeline.sequential import parts_of, walk
from expunge.pipeline.settings import (
    ResolvedSettings,
    absent_of,
    at_stage,
    case_of,
    longest_of,
    method_of,
    out_of,
    training_settings,
)
from expunge.pipeline.training_inputs import MAX_LENGTH, TrainingInputs, supplied_by
from expunge.runs.folder import RunFolder, open_run
from expunge.training.callbacks import NO_READINGS, Readings
from expunge.training.lineage import retrained_of
from expunge.training.stages import change, check, edits_made, steps_of

PREPARED = Path("private") / "prepared"  # where a run keeps the rows that were made

Rows = Mapping[str, list[Row]]
Watch = Callable[[int], AbstractContextManager[Tick]]


@dataclass(frozen=True)
class Job:
    """A method with everything that it is carried out with.

    Attributes:
        call: The method by name, with its arguments and those of its preset.
        method: The method itself.
        inputs: The rows that it trains on.
        settings: The training settings and the source of each.
        preset: The training settings of the preset; empty without one.
    """

    call: Call
    method: Method | Stage
    inputs: TrainingInputs
    settings: ResolvedSettings
    preset: Mapping[str, Any] = field(default_factory=lambda: EMPTY)


def _unwatched(steps: int) -> AbstractContextManager[Tick]:
    return nullcontext(lambda n: None)


def unlearn(
    source: ModelSource,
    method: Method | Stage,
    inputs: TrainingInputs,
    settings: ResolvedSettings,
    folder: Path | None = None,
    *,
    watch: Watch = _unwatched,
    readings: Readings = NO_READINGS,
) -> Subject:
    """The model after a method.

    While it trains, the model is in memory once, unless its owner keeps it.

    Args:
        source: The model that the method begins with.
        method: What is carried out: an unlearning method, a fine-tuning, an attack that trains.
        inputs: The rows that it trains on.
        settings: Training settings, and the adapter that is asked for.
        folder: Keeps ``stages/`` and ``log.jsonl``, from which a run that was killed goes on; None
            keeps nothing.
        watch: A context that is told of every optimizer step, made for their number.
        readings: Where the training of a method of one stage is read on its way.

    Returns:
        The model, which belongs to the caller.

    Raises:
        Refused: Rows, tools or settings do not fit the method or the model; nothing was trained.
    """
    inputs.check()  # before anything is loaded
    model = source()
    rows, settings = prepared(model, method, inputs, settings)
    device = str(model.device)
    steps = steps_of(method, rows, settings.training, model)
    del model  # before it is changed, so that it is in memory once
    kept = nullcontext(str(folder)) if folder else tempfile.TemporaryDirectory()
    with kept as place, watch(steps) as tick:
        return change(
            source.take,
            method,
            rows,
            settings.training,
            Path(place),
            adapter=settings.adapter,
            device=device,
            tick=tick,
            readings=readings,
        )


def prepared(
    model: Subject, method: Method | Stage, inputs: TrainingInputs, settings: ResolvedSettings
) -> tuple[Rows, ResolvedSettings]:
    """The rows in tokens, and the settings with the adapter that the model came with.

    Refused if they do not fit the model.
    """
    check(method, model, settings.adapter)
    settings = settings.going_on(model)
    return inputs.rows(model), settings


def resolve(
    request: UnlearnRequest,
    bench: Benchmark | None,
    case: Case,
    source: Callable[[], Subject],
    name: str = "",
) -> Job:
    """What a request asks for: the method with its settings and its rows.

    Args:
        request: Method, arguments, preset, settings and files.
        bench: The benchmark, if there is one.
        case: The rows: those of a stage, if the benchmark has any.
        source: The start model, for preparations that ask it.
        name: The method's name in messages, if it is not the request's.

    Raises:
        Refused: A setting is out of range or does nothing, or rows or tools are absent.
    """
    call, method, preset = method_of(request, bench)
    settings = training_settings(request, preset)
    others = []
    if request.stage and bench:
        others = [
            e
            for stage, c in bench.stages.items()
            if stage != request.stage
            for e in c.train.get("forget", ())
        ]
    supplied = supplied_by(
        request, case.train.get("forget", ()), settings.training.seed, source, others
    )
    inputs = TrainingInputs(
        method,
        case,
        supplied,
        name or call.name,
        max_length=request.max_length or MAX_LENGTH,
        longest=longest_of(bench),
    )
    inputs.check()
    return Job(call, method, inputs, settings, preset)


# ------------------------------------------------------------------ the command


def run_unlearn(request: UnlearnRequest) -> Path:
    """Apply a method to a model; OUT/model is the result.

    Of a benchmark with stages one after the other: OUT/1-NAME/model ...
    """
    bench, case = case_of(request)
    if not bench or not bench.stages or request.stage:
        return run_stage(request, bench, case)
    parts = parts_of(request, bench)
    cases = {part.stage: at_stage(bench, request.benchmark, part.stage) for part in parts}
    source = ModelSource(lambda: loaded(request))
    # refusals come before the first stage is trained
    jobs = [resolve(part, *cases[part.stage], source) for part in parts]
    if not request.dry_run:
        del jobs
        return walk(request, parts, lambda part: run_stage(part, *cases[part.stage]))
    for part, job in zip(parts, jobs, strict=True):
        tell(f"{Path(part.out).name:<24} begins with {part.model}")
        tell_cost(job, source())
    return Path(request.out)


def run_stage(request: UnlearnRequest, bench: Benchmark | None, case: Case) -> Path:
    """Apply a method to a model with the rows of one case, in a run folder."""
    source = ModelSource(lambda: loaded(request))
    job = resolve(request, bench, case, source)
    chat = job.inputs.supplied.tools.chat
    if isinstance(chat, Remote):
        say(f"texts of the rows go to {chat.host}")
    if request.dry_run:
        tell_cost(job, source())
        return Path(request.out)
    with open_run(
        out_of(request), verb="unlearn", request=request.as_json(), overwrite=request.overwrite
    ) as run:
        job = replace(job, inputs=replace(job.inputs, folder=run.path / PREPARED))
        label = " ".join(filter(None, (request.method.name, request.stage)))
        return carry_out(
            run, request, source, job, {"method": job.call.as_json()} | absent_of(bench), label
        )


def carry_out(
    run: RunFolder,
    request: Any,
    source: ModelSource,
    job: Job,
    facts: Mapping[str, Any],
    label: str,
) -> Path:
    """Carry a job out in a run's folder and publish OUT/model.

    Args:
        run: The folder, open.
        request: What was asked for, with ``out``, ``model`` and ``quiet``.
        source: The model that the job begins with.
        job: The method, its rows and its settings.
        facts: What else run.yaml keeps of it.
        label: The run's name in progress and warnings.

    Returns:
        The folder of the run.
    """
    model = source()
    rows, settings = prepared(model, job.method, job.inputs, job.settings)
    record = ModelRecord(
        run, request, model, job.inputs.examples, rows.get("forget") or rows.get("train") or ()
    )
    del model
    if not request.quiet:
        say(understood(job.inputs.examples))
    after = unlearn(
        source,
        job.method,
        job.inputs,
        settings,
        run.path,
        watch=lambda steps: bar(Path(label).name, steps, quiet=request.quiet),
    )
    made = dict(facts) | {
        "settings": settings.as_json(job.method),
        "stages": settings.stages_json(job.method),
        "seed": settings.training.seed,
    }
    made |= edits_made(run.path) | retrained_of(run.path)
    return record.finish(after, made, label)


def tell_cost(job: Job, model: Subject) -> None:
    """Print what a run would cost; nothing is changed."""
    inputs = replace(job.inputs, pretend=True)
    rows, settings = prepared(model, job.method, inputs, job.settings)
    for name, facts in expected(
        model, job.method, rows, settings.training, settings.adapter
    ).items():
        tell(f"{name:<24} {facts}")
