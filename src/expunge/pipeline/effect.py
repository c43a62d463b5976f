"""What a run did to the model: how far its weights moved and what became of the loss on the rows;
nothing is told from little.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from expunge.core.data import Row
from expunge.evaluation.observations.teacher_forced import log_probabilities
from expunge.models.causal_lm.model import Subject

ROWS = 32  # of the forget rows, whose loss is read before and after
SAME_LOSS = 1e-3  # nats per token: a smaller change of the loss is none


@dataclass(frozen=True)
class Before:
    """The model as the run met it: its mean loss on some rows, nats per token, and where its
    weights can be read again.
    """

    rows: tuple[Row, ...]
    loss: float | None
    folder: Path | None
    digest: str


@dataclass(frozen=True)
class Moved:
    """How far weights are from where they began.

    ``relative``: |difference| / |start|, both over all tensors that have a counterpart.
    """

    tensors: int
    changed: int
    relative: float
    # the coarsest of the tensors' types: relative distance of two numbers beside each other
    precision: float


def before(subject: Subject, rows: Sequence[Row]) -> Before:
    """What is kept of the start model: a number and a place, no weights."""
    some = tuple(rows[:ROWS])
    bare = subject.folder is None and subject.digest
    return Before(
        some, loss_of(subject, some), subject.folder, subject.fingerprint() if bare else ""
    )


def loss_of(subject: Subject, rows: Sequence[Row]) -> float | None:
    """Mean loss of the rows' scored tokens, nats; None without rows."""
    if not rows:
        return None
    logp = np.concatenate(log_probabilities(subject, rows))
    return float(-np.mean(logp, dtype=np.float64))


def effect(start: Before, after: Subject) -> dict[str, Any]:
    """What run.yaml keeps: ``weights`` (how many tensors changed, how far), ``loss`` before and
    after, and ``nothing``.

    ``nothing``: no tensor changed; or they changed by less than their precision and the loss stayed
    what it was.
    """
    loss = loss_of(after, start.rows)
    still = loss is None or start.loss is None or abs(loss - start.loss) < SAME_LOSS
    moved = _moved(start, after) if "weights" in after.capabilities else None
    found: dict[str, Any] = {}
    if start.loss is not None and loss is not None:
        found["loss"] = {
            "rows": len(start.rows),
            "before": round(start.loss, 6),
            "after": round(loss, 6),
        }
    if moved is not None:
        found["weights"] = {
            "tensors": moved.tensors,
            "changed": moved.changed,
            "relative": float(f"{moved.relative:.3g}"),
        }
        found["nothing"] = moved.changed == 0 or (still and moved.relative < moved.precision)
    elif "weights" not in after.capabilities:
        found["nothing"] = still
    else:
        same = bool(start.digest) and after.fingerprint() == start.digest
        found["nothing"] = same
    return found


def _moved(start: Before, after: Subject) -> Moved | None:
    """None where the start's weights cannot be read again, or bear other names."""
    n = changed = 0
    square = base = precision = 0.0
    for old, new in after.changed_from(start.folder):
        n += 1
        precision = max(precision, torch.finfo(new.dtype).eps)
        old = old.to(new.device, new.dtype)
        if not torch.equal(old, new):
            changed += 1
            square += float((new.float() - old.float()).square().sum(dtype=torch.float64))
        base += float(old.float().square().sum(dtype=torch.float64))
    return (
        Moved(n, changed, (square / base) ** 0.5 if base else float(changed > 0), precision)
        if n
        else None
    )
