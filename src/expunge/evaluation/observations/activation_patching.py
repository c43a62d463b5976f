"""Activation patching: what the original loses of an answer as its hidden states are replaced by
this model's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from expunge.core.data import Row
from expunge.core.errors import Refused
from expunge.core.progress import Tick
from expunge.evaluation.observations.base import Field, Inputs, Observation, Observed, References
from expunge.evaluation.observations.packed_rows import batches, by_row
from expunge.models.causal_lm.forward import Packed
from expunge.models.causal_lm.model import Subject


@dataclass(frozen=True)
class ActivationPatching(Observation):
    """Every block of this model patched into the original, one at a time."""

    name: ClassVar = "activation_patching"
    title: ClassVar = "hidden states patched into the original model"
    unit: ClassVar = "rows of the original patched"
    fields: ClassVar = {"depth": Field()}
    needs: ClassVar = frozenset({"score", "hidden"})
    beside: ClassVar = ("original",)
    of_references: ClassVar = True

    def run(self, model: Subject, inputs: Inputs, references: References) -> Observed:
        """``depth`` [blocks] of each row, see ``depth``."""
        assert references.original is not None
        lost = depth(model, references.original, inputs.answers, inputs.tick)
        return Observed({"depth": lost}, made=sum(map(len, lost)))


def depth(
    subject: Subject, original: Subject, rows: Sequence[Row], tick: Tick = lambda n: None
) -> list[np.ndarray]:
    """How much of each answer is lost in the original as it is given this model's states: nats a
    token [blocks], of each row.

    Block by block, the original's output at the places that predict the answer is replaced by this
    model's own, teacher-forced; mean log p (as it is) - mean log p (patched). blocks + 1 forwards
    of the original a row, one of this model.
    """
    sizes = [(s.depth, *s.head_weight.shape) for s in (subject, original)]
    if sizes[0] != sizes[1]:
        raise Refused(
            f"states of {subject.source} do not fit into {original.source}: (blocks, vocabulary, "
            f"width) is {sizes[0]} and {sizes[1]}"
        )
    found: list[np.ndarray] = [np.empty(0)] * len(rows)
    with subject.evaluating(), original.evaluating():
        for places, packed in batches(subject, rows):
            states: list[Tensor] = []
            with subject.watched(packed.predicted_from, partial(_add, states)):
                subject.forward(packed)
            packed = packed.to(original.device)
            whole = _answer_logp(original, packed)
            lost = []
            for layer, x in enumerate(states):
                with original.patched(layer, packed.predicted_from, x.to(original.device)):
                    lost.append(whole - _answer_logp(original, packed))
            for place, d in zip(places, torch.stack(lost, 1).cpu().numpy(), strict=True):
                found[place] = d.astype(np.float32)
            tick(len(places))
    return found


def _add(states: list[Tensor], _layer: int, x: Tensor) -> None:
    states.append(x)


def _answer_logp(model: Subject, packed: Packed) -> Tensor:
    """The mean log-probability of each row's answer: [B], nats."""
    logits = model.forward(packed).logits
    assert logits is not None
    logp = logits.float().log_softmax(-1).gather(1, packed.labels[:, None])[:, 0]
    return by_row(packed, logp.double())
