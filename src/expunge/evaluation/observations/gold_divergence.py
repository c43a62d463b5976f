"""Gold divergence: how far a model's next-token distributions are from gold's, four numbers an
answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from expunge.core.data import Row
from expunge.core.errors import Refused
from expunge.core.progress import Tick
from expunge.evaluation.observations.base import Field, Inputs, Observation, Observed, References
from expunge.evaluation.observations.packed_rows import batches, by_row
from expunge.losses.terms import jsd_rows, kl_rows, reverse_kl_rows
from expunge.models.causal_lm.model import Subject
from expunge.scoring.per_row import DIVERGENCES


@dataclass(frozen=True)
class GoldDivergence(Observation):
    """The distances of the model's next-token distributions from those of gold."""

    name: ClassVar = "gold_divergence"
    title: ClassVar = "the next-token distributions of a gold model beside this one's"
    unit: ClassVar = "rows beside gold"
    fields: ClassVar = {"divergence": Field()}
    beside: ClassVar = ("gold",)

    def run(self, model: Subject, inputs: Inputs, references: References) -> Observed:
        """[4] numbers a row, see ``divergences``."""
        assert references.gold is not None
        found = divergences(model, references.gold, inputs.answers, inputs.tick)
        return Observed({"divergence": found}, made=len(found))


def divergences(
    subject: Subject, gold: Subject, rows: Sequence[Row], tick: Tick = lambda n: None
) -> list[np.ndarray]:
    """Of each row the mean over its answer's tokens of DIVERGENCES: [4], float32; nats, but tv in
    0..1.

    js: Jensen-Shannon, kl: KL(gold || model), reverse_kl: KL(model || gold), tv: total variation.
        Closing end-of-sequence tokens are left out. Refused if the vocabularies differ in size. One
        forward of each model a row.
    """
    if subject.vocab != gold.vocab:
        raise Refused(
            f"{subject.source} knows {subject.vocab} tokens, gold {gold.source} {gold.vocab}: "
            f"distributions cannot be compared"
        )
    found: list[np.ndarray] = [np.empty(0)] * len(rows)
    with subject.evaluating(), gold.evaluating():
        for places, packed in batches(subject, rows):
            mine = subject.forward(packed).logits
            theirs = gold.forward(packed.to(gold.device)).logits
            assert mine is not None and theirs is not None
            for place, x in zip(
                places,
                by_row(packed, between(mine, theirs.to(mine.device))).cpu().numpy(),
                strict=True,
            ):
                found[place] = x.astype(np.float32)
            tick(len(places))
    return found


def between(mine: Tensor, gold: Tensor) -> Tensor:
    """DIVERGENCES of the distributions behind two logits [N, V]: float64 [N, 4], at least 0."""
    tv = (mine.float().softmax(-1) - gold.float().softmax(-1)).abs().sum(-1) / 2
    found = {
        "js": jsd_rows(gold, mine),
        "kl": kl_rows(gold, mine),
        "reverse_kl": reverse_kl_rows(gold, mine),
        "tv": tv,
    }
    # rounding may leave less than nothing
    return torch.stack([found[kind] for kind in DIVERGENCES], 1).double().clamp_min(0)
