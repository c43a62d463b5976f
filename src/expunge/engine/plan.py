"""Which rows meet in which step: decided before the first step, from the seed alone."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from expunge.core.errors import Refused, unknown
from expunge.core.types import Descent, Row, Term

Unit = Mapping[str, Row]  # stream -> the row that goes with one anchor row
OWN = frozenset({"alternate"})  # streams that answer the anchor's own prompt: joined by row id, not drawn

# our name -> Hugging Face's, and its settings
SCHEDULES: Mapping[str, tuple[str, Mapping[str, float]]] = {
    "constant": ("constant_with_warmup", {}),
    "linear": ("linear", {}),
    "cosine": ("cosine", {}),
    "cosine_min10": ("cosine_with_min_lr", {"min_lr_rate": 0.1}),
}


@dataclass(frozen=True)
class Training:
    """Settings of a Descent, with Hugging Face's meaning in short form.

    ``batch`` anchor rows (with a partner from every other stream) make a micro-step, ``accumulate`` micro-steps one optimizer step.
    ``steps`` overrides ``epochs``. ``schedule``: constant, linear, cosine, or cosine_min10 (cosine down to a tenth). ``warmup``: a share of
    the steps if below 1, else a number of steps. ``clip``: largest gradient norm (0 = none).
    """

    lr: float = 1e-5
    epochs: float = 5.0
    steps: int | None = None
    batch: int = 8
    accumulate: int = 1
    schedule: str = "linear"
    warmup: float = 0.0
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.999)
    clip: float = 1.0
    seed: int = 0
    save_every: int = 100

    def __post_init__(self) -> None:
        if self.schedule not in SCHEDULES:
            raise unknown("choice of --schedule", self.schedule, SCHEDULES)

    @property
    def step_rows(self) -> int:
        """Anchor rows of one optimizer step."""
        return self.batch * self.accumulate


def partner(rows: Sequence[Row], seed: int, epoch: int, anchor: Row, stream: str) -> Row:
    """The row of another stream that meets ``anchor``: uniform over ``rows``, a function of (seed, epoch, row id) alone."""
    key = f"{seed}/{epoch}/{stream}/{anchor.id}".encode()
    return rows[int.from_bytes(blake2b(key, digest_size=8).digest(), "big") % len(rows)]


def order(n: int, training: Training) -> list[list[tuple[int, int]]]:
    """For each optimizer step the (epoch, anchor index) pairs that it sees. The last step of an epoch may be smaller."""
    per_epoch = math.ceil(n / training.step_rows)
    total = training.steps if training.steps is not None else max(1, round(training.epochs * per_epoch))
    steps: list[list[tuple[int, int]]] = []
    epoch = 0
    while len(steps) < total:
        shuffled = list(range(n))
        random.Random(f"{training.seed}/{epoch}").shuffle(shuffled)
        for i in range(0, n, training.step_rows):
            steps.append([(epoch, j) for j in shuffled[i : i + training.step_rows]])
        epoch += 1
    return steps[:total]


def plan(stage: Descent, streams: Mapping[str, Sequence[Row]], training: Training) -> list[list[Unit]]:
    """The rows of every optimizer step: one Unit per anchor row.

    A stream of other answers to the anchor's prompt gives the row of the same id; any other stream gives a drawn partner.
    """
    if len({term.name for term in stage.terms}) < len(stage.terms):
        raise Refused(f"stage {stage.name or 'descent'} has two terms of one name; losses are kept by name, so rename one")
    wanted = tuple(dict.fromkeys(s for term in stage.terms for s in term.streams))
    for stream in (stage.anchor, *wanted):
        if not streams.get(stream):
            raise Refused(f"stage {stage.name or 'descent'} reads {stream} rows and there are none; give them with --{stream}")
    anchors = taken(streams[stage.anchor], stage.take, training.seed)
    others = [s for s in wanted if s != stage.anchor]
    own = {s: {r.id: r for r in streams[s]} for s in others if s in OWN}
    steps: list[list[Unit]] = []
    for step in order(len(anchors), training):
        units: list[Unit] = []
        for epoch, i in step:
            anchor = anchors[i]
            drawn = {s: own[s][anchor.id] if s in own else partner(streams[s], training.seed, epoch, anchor, s) for s in others}
            units.append({stage.anchor: anchor, **drawn})
        steps.append(units)
    return steps


def taken(rows: Sequence[Any], share: float, seed: int) -> list[Any]:
    """The rows of ``share`` of the groups (at least one), drawn from the seed; all of them at 1. Works on Rows and on Examples."""
    if share >= 1:
        return list(rows)
    groups = list(dict.fromkeys(r.group for r in rows))
    chosen = frozenset(random.Random(f"{seed}/take").sample(sorted(groups), max(1, round(share * len(groups)))))
    return [r for r in rows if r.group in chosen]


def tokens_of(row: Row, span: str) -> int:
    """Scored tokens of a row under a Term's span."""
    return len(row) - 1 if span == "all" else sum(row.scored)


def denominators(terms: Sequence[Term], units: Sequence[Unit]) -> dict[str, int]:
    """What each term's values are divided by in one optimizer step: known from the plan, so no rank has to ask another."""
    counts: dict[str, int] = {}
    for term in terms:
        rows = [u[s] for u in units for s in term.streams]
        counts[term.name] = sum(tokens_of(r, term.span) for r in rows) if term.reduction == "tok" else len(units)
    return counts
