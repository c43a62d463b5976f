"""Shards trained slice by slice, and trained again without some rows: SISA (Bourtoule et al. 2021).

A slice begins with the shard as the slice before left it, read from its file, with an optimizer and
a schedule of its own: nothing but weights goes from one to the next, so that a slice that is trained
again has the bits of one that was trained at first.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from expunge.core.certificate import certificate
from expunge.core.data import Row
from expunge.core.errors import Refused
from expunge.core.files import remove, whole, write_json
from expunge.core.lineage import (
    DeletionPlan,
    Lineage,
    Place,
    divided,
    fingerprint,
    in_order,
    seed_of,
)
from expunge.core.stages import Adapter, Descent, Retrain
from expunge.models.causal_lm.load import digest_folder
from expunge.models.causal_lm.model import Subject
from expunge.models.ensemble import Ensemble, copy_folder, digest_of
from expunge.models.families.find import load, save
from expunge.training.lineage import (
    CERTIFICATE,
    INDEX,
    checkpoint,
    lineage_folder,
    lineage_of,
    versions,
    write_index,
)
from expunge.training.sampler import Training, Unit, plan
from expunge.training.trainer import descend

Rows = Mapping[str, Sequence[Row]]


@dataclass(frozen=True)
class Work:
    """What a Retrain stage will do.

    Attributes:
        stage: The stage.
        shards: How many models there are.
        slices: In how many steps the rows of a shard are added.
        training: The settings, of which every slice gets its part.
        placed: The rows that are trained on, each with its place.
        first: Shard -> the slice from which it is trained; others stay as they are.
        removed: How many rows go.
        before: The lineage that it begins with and its folder; None for a first training.
    """

    stage: Retrain
    shards: int
    slices: int
    training: Training
    placed: Sequence[tuple[Row, Place]]
    first: Mapping[int, int]
    removed: int = 0
    before: tuple[Path, Lineage] | None = None

    def rows(self, place: Place) -> list[Row]:
        """The rows that a shard reads on its way to a slice, in their order."""
        shard, last = place
        return in_order(row for row, (s, piece) in self.placed if s == shard and piece <= last)

    @property
    def places(self) -> list[Place]:
        """Every slice of every shard, in the order in which they are trained."""
        return [(s, r) for s in range(1, self.shards + 1) for r in range(1, self.slices + 1)]

    def descent(self, place: Place) -> Descent:
        """The training that brings a shard to a slice."""
        name = f"{self.stage.name}-shard-{place[0]}-slice-{place[1]}"
        return Descent(name, self.stage.terms, anchor="train")

    def steps(self, place: Place) -> list[list[Unit]]:
        """The rows of every optimizer step that brings a shard to a slice."""
        rows = self.rows(place)
        part = part_of(self.training, place, self.shards, self.slices)
        return plan(self.descent(place), {"train": rows}, part) if rows else []

    def tokens(self, place: Place) -> int:
        """How many tokens those steps read."""
        return sum(len(row) for units in self.steps(place) for u in units for row in u.values())

    def plan(self) -> DeletionPlan:
        """What will be trained, in optimizer steps."""
        steps = {place: len(self.steps(place)) for place in self.places}
        return DeletionPlan(self.removed, self.first, steps)


def part_of(training: Training, place: Place, shards: int, slices: int) -> Training:
    """The settings of one slice of one shard.

    Slice r trains on the rows of slices 1 to r, with 2 E / (R + 1) epochs, so that a shard costs
    what E epochs of all its rows would; a number of steps is that of all shards together, and is
    divided in the same proportion, as is a number of warm-up steps.
    """
    _, piece = place
    share = 2 * piece / (slices * (slices + 1)) / shards
    steps, warmup = training.steps, training.warmup
    return replace(
        training,
        epochs=training.epochs * 2 / (slices + 1),
        steps=None if steps is None else max(1, round(steps * share)),
        warmup=warmup if warmup < 1 else max(1.0, float(round(warmup * share))),
        seed=seed_of(training.seed, place),
    )


def check_start(model: Any, stage: Retrain, asked: Adapter | None = None) -> None:
    """Refuse what shards cannot begin with or be made of."""
    if stage.removes and not isinstance(model, Ensemble):
        raise Refused(
            f"{model.source or 'this model'} is one model that saw all rows, not an ensemble of "
            f"shards; only what expunge train --shards made can be retrained in part"
        )
    if not stage.removes and isinstance(model, Ensemble):
        raise Refused(f"{model.source} is an ensemble already; --shards begins with a single model")
    if asked is not None:
        raise Refused("shards are whole models so far; leave --lora away")
    if not isinstance(model, Ensemble) and model.adapter is not None:
        raise Refused(
            f"{model.source} is an adapter, and shards are whole models so far; merge it first"
        )


def work_of(model: Any, stage: Retrain, streams: Rows, training: Training) -> Work:
    """What a stage will do with a model and rows.

    Args:
        model: The start model; with ``stage.removes`` an ensemble that lies beside its lineage.
        stage: The stage.
        streams: The rows by stream.
        training: The settings of a first training; an ensemble is trained again with its own.

    Raises:
        Refused: The model is of the wrong kind, its lineage does not fit it or the rows, or a shard
            is left without rows.
    """
    check_start(model, stage)
    kept = [row for stream in stage.keeps for row in streams.get(stream, ())]
    if not stage.removes:
        shards, slices = stage.shards or 1, stage.slices or 1
        placed = list(zip(kept, divided(kept, shards, slices, training.seed), strict=True))
        first = dict.fromkeys(range(1, shards + 1), 1)
        work = Work(stage, shards, slices, training, placed, first)
    else:
        home, lineage = lineage_of(model)
        removal = lineage.without(streams.get(stage.removes, ()))
        placed = lineage.placed(kept, removal)
        own = training_in(lineage)
        work = Work(
            stage,
            lineage.shards,
            lineage.slices,
            own,
            placed,
            removal.first,
            removal.rows,
            (home, lineage),
        )
    for shard in range(1, work.shards + 1):
        if not work.rows((shard, work.slices)):
            raise Refused(
                f"shard {shard} of {work.shards} has no rows: there are {len(placed)} in all, "
                f"divided by their group; "
                + (
                    "train anew with fewer --shards"
                    if stage.removes
                    else "take fewer --shards, or another --seed"
                )
            )
    return work


def training_in(lineage: Lineage) -> Training:
    """The settings with which an ensemble was trained."""
    known = {f.name for f in fields(Training)}
    plain = {name: value for name, value in lineage.training.items() if name in known}
    if "betas" in plain:
        plain["betas"] = tuple(plain["betas"])
    return Training(**plain)


def as_trained(model: Ensemble, asked: Training, given: Sequence[str]) -> Training:
    """The settings with which an ensemble was trained: with any others it would not become what
    training anew makes.

    Args:
        model: The ensemble.
        asked: The settings of the request; how often a checkpoint is written is taken from it.
        given: Which of them the user gave.

    Raises:
        Refused: The user gave another value.
    """
    own = training_in(lineage_of(model)[1])
    for name in given:
        value, known = getattr(asked, name, None), getattr(own, name, None)
        if name != "save_every" and value != known:
            option = name.replace("_", "-")
            raise Refused(
                f"--{option} {value}: this ensemble was trained with {known}, and so are the "
                f"shards that are trained again; leave --{option} away"
            )
    return replace(own, save_every=asked.save_every)


def retrain(
    model: Any,
    stage: Retrain,
    streams: Rows,
    training: Training,
    out: Path,
    *,
    tick: Callable[[int], None] = lambda n: None,
) -> Ensemble:
    """Carry a Retrain out.

    ``out`` keeps ``lineage/`` and ``stages/``, from which a run that was killed goes on; one that
    removes rows also ``certificate.json``.

    Args:
        model: The start model, or the ensemble that is trained again; it is not changed.
        stage: What is done.
        streams: The rows by stream.
        training: The settings of a first training.
        out: The run's folder.
        tick: Hears of every optimizer step.

    Returns:
        The ensemble, whose members lie in ``lineage/``.

    Raises:
        Refused: see ``work_of``.
    """
    work = work_of(model, stage, streams, training)
    device = model.device
    home = lineage_folder(out)
    _begin(work, model, home)
    del model
    for place in work.places:
        if place[0] in work.first and place[1] >= work.first[place[0]]:
            _slice(work, place, home, out, str(device), tick)
    last = [checkpoint(home, (s, work.slices)) for s in range(1, work.shards + 1)]
    lineage = _lineage(work, home, versions(device))
    write_index(home, lineage)
    if work.before:
        made = certificate(work.before[1], lineage, work.plan())
        write_json(out / CERTIFICATE, made.as_json())
    members = [load(folder, dtype="stored", device=str(device)) for folder in last]
    return Ensemble(tuple(members), digest=lineage.digest)


def _begin(work: Work, model: Any, home: Path) -> None:
    """What is there before the first step: the start model, and all slices that stay."""
    if work.before is None:
        if not whole(checkpoint(home, (0, 0))):
            save(model, checkpoint(home, (0, 0)))
        return
    old = work.before[0]
    stay = [(s, r) for s, r in work.places if s not in work.first or r < work.first[s]]
    for place in ((0, 0), *stay):
        made, known = checkpoint(old, place), checkpoint(home, place)
        if whole(known):
            continue
        if not whole(made):
            raise Refused(f"{made}: a slice that is needed is not there as it was saved; copy it")
        remove(known)
        copy_folder(made, known)


def _slice(
    work: Work, place: Place, home: Path, out: Path, device: str, tick: Callable[[int], None]
) -> None:
    """Bring a shard to a slice, unless an earlier attempt has."""
    shard, piece = place
    done, before = checkpoint(home, place), checkpoint(home, (shard, piece - 1))
    rows = work.rows(place)
    stage, streams = work.descent(place), {"train": rows}
    part = part_of(work.training, place, work.shards, work.slices)
    if whole(done):
        tick(len(work.steps(place)))
        return
    if not rows:  # nothing to read yet: the shard is what it was
        remove(done)
        copy_folder(before, done)
        return
    subject: Subject = load(before, dtype="stored", device=device)
    subject = replace(subject, folder=None, digest="")
    folder = out / "stages" / stage.name
    descend(subject, stage, streams, part, folder, log=out / "log.jsonl", tick=tick)
    save(subject, done)
    shutil.rmtree(folder, ignore_errors=True)


def _lineage(work: Work, home: Path, found: Mapping[str, str]) -> Lineage:
    """How the ensemble in a folder came about."""
    key = work.before[1].key if work.before else _key(home)
    rows: dict[str, tuple[Place, ...]] = {}
    for row, place in work.placed:
        name = fingerprint(row, key)
        rows[name] = (*rows.get(name, ()), place)
    digests = {place: digest_folder(checkpoint(home, place)) for place in work.places}
    last = [digests[s, work.slices] for s in range(1, work.shards + 1)]
    settings = asdict(work.training)
    return Lineage(
        shards=work.shards,
        slices=work.slices,
        seed=work.training.seed,
        key=key,
        rows=dict(sorted(rows.items())),
        training=settings,
        digest=digest_of(last, work.stage.aggregate),
        start=digest_folder(checkpoint(home, (0, 0))),
        checkpoints={f"{s}/{r}": digest for (s, r), digest in digests.items()},
        versions=_mixed(work.before[1].versions, found) if work.before else dict(found),
    )


def _mixed(before: Mapping[str, str], now: Mapping[str, str]) -> dict[str, str]:
    """The libraries of slices of which some were trained before and some now."""
    return {
        name: own if own == before.get(name) else f"{before.get(name)}; {own}"
        for name, own in now.items()
    }


def _key(home: Path) -> str:
    """A new secret; an earlier attempt's index is written anew."""
    remove(home / INDEX)
    return secrets.token_hex(16)
