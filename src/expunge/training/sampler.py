"""Which rows meet in which step: decided before the first step, from the seed alone."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from expunge.core import requests
from expunge.core.data import Row
from expunge.core.errors import Refused
from expunge.core.fields import check_fields
from expunge.core.requests import MOST_STEPS
from expunge.core.stages import OWN, Descent, Term

Unit = Mapping[str, Row]  # stream -> the row that goes with one anchor row

# our name -> Hugging Face's, and its settings
SCHEDULES: Mapping[str, tuple[str, Mapping[str, float]]] = {
    "constant": ("constant_with_warmup", {}),
    "linear": ("linear", {}),
    "cosine": ("cosine", {}),
    "cosine_min10": ("cosine_with_min_lr", {"min_lr_rate": 0.1}),
    "inverse_sqrt": ("inverse_sqrt", {}),
}
MOST_ROWS = 20_000_000  # of a plan, which is held in memory as a whole


@dataclass(frozen=True)
class Training:
    """Settings of a Descent, with Hugging Face's meaning in short form.

    ``batch`` anchor rows (with a partner from every other stream) make a micro-step,
    ``accumulate`` micro-steps one optimizer step. ``steps`` overrides ``epochs``. ``schedule``:
    constant, linear, cosine, cosine_min10 (cosine down to a tenth), or inverse_sqrt (lr falls
    as 1/sqrt(step) after the warm-up). ``warmup``: a share of the steps if below 1, else a
    number of steps. ``clip``: largest gradient norm (0 = none). ``optimizer``: adamw, sgd, or
    sophia, whose threshold is ``rho`` (clipped second-order steps).
    """

    lr: requests.LearningRate = 1e-5
    epochs: requests.Epochs = 5.0
    steps: requests.Steps | None = None
    batch: requests.Count = 8
    accumulate: requests.Count = 1
    schedule: requests.Schedule = "linear"
    warmup: requests.Warmup = 0.0
    weight_decay: requests.WeightDecay = 0.01
    betas: tuple[float, float] = (0.9, 0.999)
    clip: requests.Clip = 1.0
    seed: requests.Seed = 0
    save_every: requests.Whole = 100
    optimizer: requests.Optimizer = "adamw"
    rho: float = 0.04

    def __post_init__(self) -> None:
        check_fields(self)

    @property
    def step_rows(self) -> int:
        """Anchor rows of one optimizer step."""
        return self.batch * self.accumulate


def partner(
    rows: Sequence[Row], seed: int, epoch: int, anchor: Row, stream: str, nth: int = 0
) -> Row:
    """The row of another stream that meets ``anchor``: uniform over ``rows``.

    A function of (seed, epoch, row id, nth) alone; ``nth`` tells anchors of one id apart.
    """
    key = f"{seed}/{epoch}/{stream}/{anchor.id}{f'/{nth}' if nth else ''}".encode()
    return rows[int.from_bytes(blake2b(key, digest_size=8).digest(), "big") % len(rows)]


def order(n: int, training: Training) -> list[list[tuple[int, int]]]:
    """For each optimizer step the (epoch, anchor index) pairs that it sees.

    The last step of an epoch may be smaller.
    """
    per_epoch = math.ceil(n / training.step_rows)
    total = (
        training.steps if training.steps is not None else max(1, round(training.epochs * per_epoch))
    )
    if total > MOST_STEPS or total * min(n, training.step_rows) > MOST_ROWS:
        raise Refused(
            f"{total} optimizer steps of {min(n, training.step_rows)} rows: at most {MOST_STEPS} "
            f"steps and {MOST_ROWS} rows "
            "are planned, lower --steps or --epochs"
        )
    steps: list[list[tuple[int, int]]] = []
    epoch = 0
    while len(steps) < total:
        shuffled = list(range(n))
        random.Random(f"{training.seed}/{epoch}").shuffle(shuffled)
        for i in range(0, n, training.step_rows):
            steps.append([(epoch, j) for j in shuffled[i : i + training.step_rows]])
        epoch += 1
    return steps[:total]


def plan(
    stage: Descent, streams: Mapping[str, Sequence[Row]], training: Training
) -> list[list[Unit]]:
    """The rows of every optimizer step: one Unit per anchor row.

    A stream of other answers to a row's prompt (OWN) gives one of the rows with its id; any other
    stream gives a drawn partner. A row of a joined stream whose own is not in the stage answers the
    anchor. Where other answers are the anchor (several to a prompt), each meets the row that it
    answers.
    """
    if len({term.name for term in stage.terms}) < len(stage.terms):
        raise Refused(
            f"stage {stage.name or 'descent'} has two terms of one name; losses are kept by name, "
            f"so rename one"
        )
    wanted = tuple(dict.fromkeys(s for term in stage.terms for s in term.streams))
    for stream in (stage.anchor, *wanted):
        if not streams.get(stream):
            raise Refused(
                f"stage {stage.name or 'descent'} reads {stream} rows and there are none; give "
                f"them with --{stream}"
            )
    anchors = list(streams[stage.anchor])
    answered = OWN.get(stage.anchor, "")  # the stream whose rows the anchors answer, if they do
    free = [s for s in wanted if s not in (stage.anchor, answered) and s not in OWN]
    joined = [s for s in wanted if s != stage.anchor and s in OWN]
    owned = {s: by_id(streams[s]) for s in joined}
    prompts = {row.id: row for row in streams[answered]} if answered in wanted else {}
    place = _places(anchors)
    steps: list[list[Unit]] = []
    for step in order(len(anchors), training):
        units: list[Unit] = []
        for epoch, i in step:
            unit = {stage.anchor: anchors[i]}
            if prompts:
                if anchors[i].id not in prompts:
                    where = anchors[i].source or anchors[i].id
                    raise Refused(
                        f"stage {stage.name or 'descent'}: {stage.anchor} row {where} answers no "
                        f"{answered} row"
                    )
                unit[answered] = prompts[anchors[i].id]
            for s in free:
                unit[s] = partner(streams[s], training.seed, epoch, anchors[i], s, place[i])
            for s in joined:  # a row of its own: one of those that belong to the row it answers
                of = unit.get(OWN[s]) or anchors[i]
                if of.id not in owned[s]:
                    raise Refused(
                        f"stage {stage.name or 'descent'}: row {of.source or of.id} has no {s} row "
                        f"of its own"
                    )
                unit[s] = partner(owned[s][of.id], training.seed, epoch, of, s)
            units.append(unit)
        steps.append(units)
    return steps


def _places(rows: Sequence[Row]) -> list[int]:
    """For each row how many rows of the same id come before it."""
    met: dict[str, int] = {}
    found = []
    for row in rows:
        found.append(met.get(row.id, 0))
        met[row.id] = found[-1] + 1
    return found


def by_id(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """id -> the rows that bear it, in order."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.id, []).append(row)
    return found


def taken(rows: Sequence[Any], share: float, seed: int, most: int = 0) -> list[Any]:
    """Some of the rows, whole groups at a time, drawn from the seed.

    Args:
        rows: Rows or Examples.
        share: Share of the groups, at least one of them; all from 1 on.
        seed: Decides which groups.
        most: At most so many rows, of as few of these groups as hold them; 0: all rows of the
            groups.

    Returns:
        The rows in their order.
    """
    groups = list(dict.fromkeys(r.group for r in rows))
    if share < 1:
        groups = random.Random(f"{seed}/take").sample(
            sorted(groups), max(1, round(share * len(groups)))
        )
    elif most:
        groups = random.Random(f"{seed}/take").sample(sorted(groups), len(groups))
    if not most:
        chosen = frozenset(groups)
        return [r for r in rows if r.group in chosen]
    found: list[Any] = []
    for group in groups:
        found += [r for r in rows if r.group == group][: most - len(found)]
    kept = {id(r) for r in found}
    return [r for r in rows if id(r) in kept]


def tokens_of(row: Row, span: str) -> int:
    """Scored tokens of a row under a Term's span."""
    return len(row) - 1 if span == "all" else sum(row.scored)


def denominators(terms: Sequence[Term], units: Sequence[Unit]) -> dict[str, int]:
    """What each term's values are divided by in one optimizer step: known from the plan, so no rank
    has to ask another.
    """
    counts: dict[str, int] = {}
    for term in terms:
        if term.reduction == "once":
            counts[term.name] = 1
            continue
        rows = [u[s] for u in units for s in term.streams]
        counts[term.name] = (
            sum(tokens_of(r, term.span) for r in rows) if term.reduction == "tok" else len(units)
        )
    return counts
