"""A Method carried out stage by stage: each finished stage stands in OUT/stages, and a resume
starts at the first unfinished one.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias, TypeVar, cast

from expunge.core.data import Row
from expunge.core.errors import Failed, Refused
from expunge.core.files import whole
from expunge.core.stages import Adapter, Descent, Edit, Method, Prepare, Retrain, Stage, stages
from expunge.models.base import TrainableModel
from expunge.models.delta import facts_of
from expunge.models.families.find import load, save
from expunge.training.callbacks import NO_READINGS, Reading, Readings
from expunge.training.edit import edit
from expunge.training.retrain import check_start, retrain, work_of
from expunge.training.sampler import Training, plan
from expunge.training.teachers import layers_of
from expunge.training.trainer import descend

EDITS = "edits"  # the folder in OUT that keeps what edits changed
M = TypeVar("M", bound=TrainableModel)
Source: TypeAlias = M | Callable[[], M]


def fresh(source: Source[M]) -> M:
    """A TrainableModel that may be changed: loaded anew, or a deep copy of the one given.

    It has no folder and no digest any more: what is about to change must not be taken for what
    stands on disk.
    """
    if callable(source):
        return source().without_origin()
    return source.copy().without_origin()


def _handed_on(left: Source[M]) -> M:
    """What an earlier stage left, to be changed as it is: no copy of it stays behind."""
    assert not callable(left)
    return left.without_origin()


def training_of(stage: Descent, training: Training) -> Training:
    """The run's settings with the stage's own on top; a stage's epochs outrank the run's steps and
    the other way round.
    """
    return replace(training, **dict(stage.training))


def steps_of(
    method: Method | Stage,
    streams: Mapping[str, Sequence[Row]],
    training: Training,
    model: Any = None,
) -> int:
    """Optimizer steps of all stages together: what a progress bar counts.

    ``model``: what a Retrain begins with.
    """
    total = 0
    for stage in stages(method):
        if isinstance(stage, Descent):
            total += len(plan(stage, streams, training_of(stage, training)))
        elif isinstance(stage, Retrain):
            total += work_of(model, stage, streams, training).plan().trained
    return total


def adapter_for(stage: Descent, asked: Adapter | None) -> Adapter | None:
    """The adapter that a stage trains: its own with what was asked for on top, or the one asked
    for; None if there is none.

    The stage's own scaling goes along with another rank.
    """
    own = stage.adapter
    if own is None:
        return (
            None
            if asked is None or not asked.rank
            else replace(asked, alpha=asked.alpha or 2.0 * asked.rank)
        )
    if asked is None:
        return replace(own, alpha=own.alpha or 2.0 * own.rank)
    rank = asked.rank or own.rank
    alpha = asked.alpha or (own.alpha or 2.0 * own.rank) * rank / own.rank
    return Adapter(
        rank, alpha, asked.targets or own.targets, own.init, asked.dropout or own.dropout
    )


def check(method: Method | Stage, subject: TrainableModel, asked: Adapter | None = None) -> None:
    """Refuse a stage that this model cannot carry out, before anything is trained."""
    for stage in stages(method):
        if isinstance(stage, Retrain):
            check_start(subject, stage, asked)
            return
    check_trains(subject)
    present = subject.adapter
    if present and asked and asked.rank and asked.rank != present.rank:
        raise Refused(
            f"--lora {asked.rank}: {subject.source} is an adapter of rank {present.rank} that goes "
            f"on; give --lora {present.rank}"
        )
    descents = [s for s in stages(method) if isinstance(s, Descent)]
    if asked and not asked.rank and not any(s.adapter for s in descents):
        raise Refused("an adapter without a rank; give --lora RANK beside its other settings")
    for stage in stages(method):
        if isinstance(stage, Descent):
            adapter = adapter_for(stage, asked)
            if adapter and not present:
                subject.adaptable(adapter.targets or ("" if stage.adapter else stage.select))
            deep = [
                n
                for n in (
                    *layers_of(stage.terms, "hidden"),
                    *layers_of(stage.terms, "start_hidden"),
                )
                if not 0 <= n < subject.depth
            ]
            if deep:
                raise Refused(
                    f"layer {deep[0]} of a model with {subject.depth} blocks (0 to "
                    f"{subject.depth - 1}); choose one with --layer"
                )


def check_trains(model: Any) -> None:
    """Refuse a model through which no gradient flows."""
    if "gradient" not in model.capabilities:
        raise Refused(
            f"{model.source or 'this model'} is an ensemble, and only its members can be trained "
            f"or edited; name one of them (the folders of models in it), or retrain it: expunge "
            f"unlearn sisa"
        )


def change(
    source: Source[M],
    method: Method | Stage,
    streams: Mapping[str, Sequence[Row]],
    training: Training,
    out: Path,
    *,
    adapter: Adapter | None = None,
    device: str = "auto",
    tick: Callable[[int], None] = lambda n: None,
    readings: Readings = NO_READINGS,
) -> M:
    """The model after the Method, whose Prepare stages' rows are in ``streams`` already.

    ``source`` is not changed.

    ``adapter``: what was asked for (``adapter_for``); None trains the weights, or the adapter that
    a stage has of its own. ``out`` keeps ``stages/`` and ``log.jsonl``. ``device``: where a stage
    that was found finished is loaded, if ``source`` is a function. ``readings``: where the training
    of a method of one stage is read on its way.

    The last checkpoints of a single stage stay there until the caller has saved the result.
    """
    todo = [s for s in stages(method) if not isinstance(s, Prepare)]
    if len(todo) == 1 and isinstance(todo[0], Retrain):
        start = source() if callable(source) else source
        return retrain(  # type: ignore[return-value]
            start, todo[0], streams, training, out, tick=tick
        )
    if readings.steps and len(todo) > 1:
        raise ValueError("only the training of a method of one stage is read on its way")
    auxiliaries: dict[str, TrainableModel] = (
        {"original": fresh(source)} if any("original" in _reads(s) for s in todo) else {}
    )
    current: Source[M] = source
    subject: M | None = None
    device = str(source.device) if not callable(source) else device
    for i, stage in enumerate(todo):
        place = out / "stages" / f"{i}-{stage.name}"
        done = place / "model"
        # its result stands beside the model, which stays as it is
        aside = isinstance(stage, Descent) and bool(stage.into)
        if whole(done):
            if not aside:
                # what is replaced need not be in memory beside what is loaded
                subject, current = None, source
            subject = cast(M, load(done, dtype="stored", device=device))
            tick(
                len(plan(stage, streams, training_of(stage, training)))
                if isinstance(stage, Descent)
                else 0
            )
        else:
            later = {name for s in todo[i + 1 :] for name in _reads(s)}
            lent = {
                n: auxiliaries[n] if n in later else auxiliaries.pop(n)
                for n in _reads(stage)
                if n in auxiliaries
            }
            start = fresh(current) if aside or current is source else _handed_on(current)
            subject = _carry_out(
                start,
                stage,
                streams,
                training,
                place,
                out / "log.jsonl",
                lent,
                adapter,
                tick,
                readings,
            )
            del start
            # a single stage's result is saved by the caller, who then drops the checkpoints
            if len(todo) > 1:
                save(subject, done)
                for rubbish in (*place.glob("checkpoint-*"), place / "cache"):
                    shutil.rmtree(rubbish, ignore_errors=True)
        if isinstance(stage, Descent) and stage.into:
            auxiliaries[stage.into] = subject
        else:
            current = subject
    if subject is None or callable(current) or current is source:
        raise Failed("the method has no stage that changes the model")
    return current


def edits_made(out: Path) -> dict[str, list[dict[str, Any]]]:
    """What the edits of a run changed, for run.yaml: {"edits": [stage, file, size]}; nothing of a
    run without.
    """
    files = sorted((out / EDITS).glob("*.safetensors"))
    made = [{"file": f"{EDITS}/{file.name}"} | facts_of(file) for file in files]
    return {"edits": made} if made else {}


def _reads(stage: Stage) -> frozenset[str]:
    """The models that a stage asks for besides its start: ``original``, and what earlier stages
    made.
    """
    if isinstance(stage, Edit):
        return stage.needs
    terms = stage.terms if isinstance(stage, Descent) else ()
    return frozenset(s for t in terms if t.provider for s in t.provider.sources) - {
        "start",
        "current",
    }


def _carry_out(
    subject: M,
    stage: Stage,
    streams: Mapping[str, Sequence[Row]],
    training: Training,
    place: Path,
    log: Path,
    auxiliaries: dict[str, TrainableModel],
    asked: Adapter | None,
    tick: Callable[[int], None],
    readings: Readings,
) -> M:
    if isinstance(stage, Descent):
        own = adapter_for(stage, asked)
        if own and own.init == "fila":
            subject.merge()  # it makes an adapter of its own out of the weights
        # the adapter of an earlier stage, or of an earlier request, goes on
        if subject.adapter is not None:
            subject.go_on(stage.select)
            stage = replace(stage, select="")
        elif own:
            targets = own.targets or ("" if stage.adapter else stage.select)
            subject.attach(own, subject.adaptable(targets), training.seed)
            # the adapter sits on the selected matrices; all of it is trained
            stage = replace(stage, select="")
        descend(
            subject,
            stage,
            streams,
            training_of(stage, training),
            place,
            auxiliaries=auxiliaries,
            log=log,
            tick=tick,
            callbacks=[Reading(readings, subject)] if readings.steps else [],
        )
        # an adapter that began by changing its base means nothing on the base that the user has
        if stage.into or (own and own.init == "fila"):
            subject.merge()
        return subject
    if isinstance(stage, Edit) and stage.fn is not None:
        file = log.parent / EDITS / f"{place.name}.safetensors" if stage.recorded else None
        subject.merge()
        edit(subject, stage, streams, training.seed, auxiliaries, file)
        return subject
    raise Failed(f"no engine for a stage of kind {type(stage).__name__}")
