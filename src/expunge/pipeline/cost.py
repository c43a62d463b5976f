"""What a run would cost: rows, tokens, passes, memory and time, before anything is changed."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence

import torch

from expunge.core.data import Row
from expunge.core.stages import Adapter, Descent, Edit, Method, Prepare, Retrain, Stage, stages
from expunge.models.causal_lm.model import Subject
from expunge.models.ensemble import Ensemble
from expunge.training.retrain import work_of
from expunge.training.sampler import Training, plan
from expunge.training.stages import adapter_for, training_of
from expunge.training.teachers import layers_of
from expunge.training.term_values import wants_logits

GB = 1 << 30


def expected(
    subject: Subject,
    method: Method | Stage,
    streams: Mapping[str, Sequence[Row]],
    training: Training,
    adapter: Adapter | None = None,
) -> dict[str, str]:
    """The plan in numbers.

    Time comes from one forward of the first micro-step on this machine (a backward costs two).
    """
    lines = {
        name: f"{len(rows)} rows, {sum(map(len, rows))} tokens, {sum(sum(r.scored) for r in rows)} "
        f"of them scored"
        for name, rows in streams.items()
    }
    plain = stages(method)
    if isinstance(plain[0], Retrain):
        return lines | _of_shards(subject, plain[0], streams, training)
    seconds = 0.0
    for i, stage in enumerate(stages(method)):
        if not isinstance(stage, Descent):
            lines[f"stage {i} {stage.name}"] = _untrained(stage, streams)
            continue
        settings = training_of(stage, training)
        steps = plan(stage, streams, settings)
        seen = sum(len(r) for units in steps for u in units for r in u.values())
        once = {
            (r.role, r.id, r.variant): len(r) for units in steps for u in units for r in u.values()
        }
        caching = (
            sum(once.values())
            if any(
                t.needs & {"start_logp", "teacher"} or layers_of([t], "start_hidden", subject.model)
                for t in stage.terms
            )
            else 0
        )
        rate = _tokens_per_second(
            subject, [r for u in steps[0][: settings.batch] for r in u.values()]
        )
        depth = 1.0 if any(map(wants_logits, stage.terms)) else 0.7
        seconds += (3 * depth * seen + caching) / rate
        lines[f"stage {i} {stage.name}"] = (
            f"{len(steps)} steps, {seen} tokens forward and backward, {caching} tokens once "
            f"through the start model"
        )
        lines |= {f"stage {i} {stage.name}: {what}": said for what, said in remarks(stage, subject)}
    weights = sum(p.nbytes for p in subject.weights().values())
    small = all(adapter_for(s, adapter) for s in stages(method) if isinstance(s, Descent))
    moved = sum(p.numel() for p in subject.weights().values()) * (0.02 if small else 1.0)
    held = 4 if small else next(iter(subject.weights().values())).element_size()
    # gradients, two moments, of 16-bit weights a float32 copy
    trained = moved * (held + 8 + (4 if held < 4 else 0))
    lines["memory"] = (
        f"about {(weights + trained) / GB:.2f} GB for weights, gradients and optimizer, and the "
        f"activations of one micro-step"
    )
    lines["time"] = f"about {_spoken(seconds)} on {subject.device}"
    return lines


def _of_shards(
    model: Subject | Ensemble,
    stage: Retrain,
    streams: Mapping[str, Sequence[Row]],
    training: Training,
) -> dict[str, str]:
    """What a Retrain will train, shard by shard, and how long that takes."""
    work = work_of(model, stage, streams, training)
    deletion = work.plan()
    lines = {}
    if stage.removes:
        lines["rows that go"] = f"{deletion.removed} copies, of {len(deletion.first)} shards"
    for shard in range(1, work.shards + 1):
        rows = len(work.rows((shard, work.slices)))
        first = deletion.first.get(shard)
        steps = sum(deletion.steps[place] for place in deletion.again if place[0] == shard)
        done = f"trained from slice {first} of {work.slices}, {steps} steps" if first else "stays"
        lines[f"shard {shard}"] = f"{rows} rows; {done}"
    lines["steps"] = (
        f"{deletion.trained} of the {deletion.whole} that training all shards anew takes "
        f"({deletion.share:.0%})"
    )
    seen = sum(work.tokens(place) for place in deletion.again)
    one = model.members[0] if isinstance(model, Ensemble) else model
    sample = [row for row, _ in work.placed[: work.training.batch]]
    seconds = 3 * seen / _tokens_per_second(one, sample)
    lines["time"] = f"about {_spoken(seconds)} on {one.device}"
    return lines


def _untrained(stage: Stage, streams: Mapping[str, Sequence[Row]]) -> str:
    """The cost of a stage without a training loop, in words."""
    if isinstance(stage, Prepare):
        return "rows made"
    read = [s for s in stage.streams if s in streams] if isinstance(stage, Edit) else []
    if not read:
        return "closed form, one pass over the weights"
    tokens = sum(len(row) for s in read for row in streams[s])
    return (
        f"an edit that reads {tokens} tokens ({', '.join(read)} rows), and one pass over the "
        f"weights"
    )


def remarks(stage: Descent, subject: Subject) -> Iterator[tuple[str, str]]:
    """What a user should know of a stage beforehand: buffers that it keeps."""
    weights = sum(p.nbytes for p in subject.weights().values())
    if stage.combine is not None:
        yield (
            "gradients",
            f"one more copy for each side and each average, {weights / GB:.2f} GB apiece when all "
            f"weights are trained",
        )
    if any("weights" in t.needs for t in stage.terms):
        yield (
            "distance",
            f"a copy of the weights it began with, {weights / GB:.2f} GB when all are trained",
        )


def _tokens_per_second(subject: Subject, rows: Sequence[Row]) -> float:
    packed = subject.pack(rows)
    with subject.evaluating():
        for _ in range(2):  # the first one warms up
            start = time.perf_counter()
            subject.forward(packed)
            if subject.device.type == "cuda":
                torch.cuda.synchronize()
    return sum(map(len, rows)) / max(time.perf_counter() - start, 1e-6)


def _spoken(seconds: float) -> str:
    return (
        f"{seconds:.0f} s"
        if seconds < 120
        else f"{seconds / 60:.0f} min"
        if seconds < 7200
        else f"{seconds / 3600:.1f} h"
    )
