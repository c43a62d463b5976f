"""Few-shot prefix: rows scored behind a prefix of rows that no model saw, which all of them share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import ClassVar

import numpy as np

from expunge.core.data import Example, Examples, Row
from expunge.core.progress import Tick
from expunge.evaluation.observations.base import (
    Inputs,
    Observation,
    Observed,
    Read,
    References,
)
from expunge.evaluation.observations.teacher_forced import log_probabilities
from expunge.models.causal_lm.model import UNBOUNDED, Subject

VARIANT = "prefix"


@dataclass(frozen=True)
class FewShotPrefix(Observation):
    """Every row scored once more behind ``shots`` holdout rows."""

    shots: int = 7

    name: ClassVar = "few_shot_prefix"
    title: ClassVar = "the answers behind a prefix of holdout rows"
    unit: ClassVar = "rows behind a prefix"
    variants: ClassVar = (VARIANT,)
    other_roles: ClassVar = ("holdout",)

    def run(self, model: Subject, inputs: Inputs, references: References) -> Observed:
        """Rows of variant ``prefix``; none of the groups that the prefix itself shows."""
        holdout = inputs.roles["holdout"]
        behind_it = prefixed(
            model, inputs.answers, holdout, self.shots, inputs.max_length, inputs.tick
        )
        scored = [(row, Read(logp)) for row, logp in behind_it.values()]
        return Observed(scored=scored, made=len(scored))


def shots_of(holdout: Examples, n: int, seed: int = 0) -> Examples:
    """n rows of as few groups as possible, and of half the groups at most: whoever scores holdout
    rows leaves those groups out.
    """
    groups = list(dict.fromkeys(e.group for e in holdout))
    Random(f"shots/{seed}").shuffle(groups)
    found: list[Example] = []
    for group in groups[: len(groups) // 2]:
        if len(found) < n:
            found += [e for e in holdout if e.group == group][: n - len(found)]
    return tuple(found)


def prefix_of(subject: Subject, shots: Examples, max_length: int) -> tuple[int, ...]:
    """The ids of the shots, one after the other: what begins a text (bos) once, in front.

    As many as fit in ``max_length`` tokens.
    """
    head = subject.bos_ids
    ids = head
    for shot, row in zip(shots, subject.encode(shots, max_length=UNBOUNDED), strict=True):
        own = row.ids[len(head) :] if row.ids[: len(head)] == head else row.ids
        # runs on into the next, cut to its share; an answered question is closed and whole
        if shot.text is not None:
            own = own[:-1][: (max_length - len(head)) // len(shots)]
        if len(ids) + len(own) > max_length:
            break
        ids += own
    return ids if len(ids) > len(head) else ()


def behind(prefix: Sequence[int], row: Row, head: Sequence[int]) -> Row:
    """The row behind the prefix: its own begin-of-text token gives way, the same tokens are scored."""
    drop = len(head) if row.ids[: len(head)] == tuple(head) else 0
    scored = (False,) * len(prefix) + row.scored[drop:]
    return replace(
        row,
        variant=VARIANT,
        ids=(*prefix, *row.ids[drop:]),
        scored=scored,
        n_prompt=row.n_prompt - drop + len(prefix),
    )


def prefixed(
    subject: Subject,
    rows: Sequence[Row],
    holdout: Examples,
    shots: int,
    max_length: int,
    tick: Tick,
) -> dict[tuple[str, str], tuple[Row, np.ndarray]]:
    """(role, id) -> the row behind the prefix and its log-probabilities.

    Rows of the shots' own groups have none; nor has anybody if no shot fits.
    """
    chosen = shots_of(holdout, shots)
    room = subject.window or UNBOUNDED
    longest = max((len(r) for r in rows), default=0)
    prefix = prefix_of(subject, chosen, min(max_length, room - longest))
    told = {(e.role, e.group) for e in chosen}
    if not prefix:
        return {}
    head = subject.bos_ids
    asked = [behind(prefix, r, head) for r in rows if (r.role, r.group) not in told]
    found: dict[tuple[str, str], tuple[Row, np.ndarray]] = {}
    for row, logp in zip(asked, log_probabilities(subject, asked, tick), strict=True):
        found[row.role, row.id] = (row, logp)
    return found
