"""Gradient norms: how hard each row still pulls at the weights by the gradient of its own loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch

from expunge.core.data import Row
from expunge.core.progress import Tick
from expunge.evaluation.observations.base import Field, Inputs, Observation, Observed, References
from expunge.models.causal_lm.model import Subject


@dataclass(frozen=True)
class GradientNorm(Observation):
    """The norms of the gradient of each answer's loss, with or without the closing end-of-sequence
    token.
    """

    eos: bool = False

    name: ClassVar = "gradient_norm"
    title: ClassVar = "gradients of the answers' loss"
    unit: ClassVar = "gradients"
    fields: ClassVar = {"grad_norm": Field("float64")}
    needs: ClassVar = frozenset({"score", "gradient"})

    def run(self, model: Subject, inputs: Inputs, references: References) -> Observed:
        """One forward and one backward a row: [4] numbers each."""
        norms = gradient_norms(model, inputs.answers, eos=self.eos, tick=inputs.tick)
        return Observed({"grad_norm": norms}, made=len(norms))


def gradient_norms(
    subject: Subject, rows: Sequence[Row], *, eos: bool = False, tick: Tick = lambda n: None
) -> list[np.ndarray]:
    """Of each row the gradient of its mean loss over all weights: [norm 1, norm 2, norm inf, mean
    of the tensors' 2-norms].

    One forward and backward a row, dropout off; ``.grad`` is left as it is. ``eos``: whether the
    closing end-of-sequence token counts (a row of that token alone keeps it). The mean of the
    tensors' norms depends on how the weights are cut into tensors.
    """
    found = []
    with subject.differentiable() as weights:
        for row in rows:
            found.append(_of(subject, weights, row if eos else without_end(row)))
            tick(1)
    return found


def without_end(row: Row) -> Row:
    """The row without its closing end-of-sequence token, unless that is all that is scored."""
    return (
        replace(row, scored=(*row.scored[:-1], False)) if row.eos and sum(row.scored) > 1 else row
    )


def _of(subject: Subject, weights: Sequence[torch.Tensor], row: Row) -> np.ndarray:
    packed = subject.pack([row])
    logits = subject.forward(packed).logits
    assert logits is not None
    loss = -logits.float().log_softmax(-1).gather(-1, packed.labels[:, None]).mean()
    grads = [
        g.double() for g in torch.autograd.grad(loss, weights, allow_unused=True) if g is not None
    ]
    one = sum(float(g.abs().sum()) for g in grads)
    each = [float(g.norm()) for g in grads]
    return np.array(
        [
            one,
            float(np.linalg.norm(each)),
            max(float(g.abs().max()) for g in grads),
            float(np.mean(each)),
        ]
    )
