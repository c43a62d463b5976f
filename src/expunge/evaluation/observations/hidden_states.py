"""Hidden states: outputs of chosen blocks at the prompt's end, or as the mean over the answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from expunge.core.data import Row
from expunge.core.progress import Tick
from expunge.evaluation.observations.base import Field, Inputs, Observation, Observed, References
from expunge.evaluation.observations.packed_rows import batches, by_row
from expunge.models.causal_lm.forward import Packed
from expunge.models.causal_lm.model import Subject
from expunge.scoring.representation import layer_of


@dataclass(frozen=True)
class HiddenStates(Observation):
    """Outputs of the blocks that ``layers`` names, at the prompt's end or as the mean over the
    answer.
    """

    layers: tuple[float, ...] = ()
    at: Literal["prompt", "answer"] = "prompt"

    name: ClassVar = "hidden_states"
    title: ClassVar = "hidden states"
    unit: ClassVar = "rows for hidden states"
    fields: ClassVar = {"states": Field(in_runs=False)}
    needs: ClassVar = frozenset({"hidden"})
    of_references: ClassVar = True

    def run(self, model: Subject, inputs: Inputs, references: References) -> Observed:
        """``states`` [layers * D] of each row."""
        rows, read = inputs.answers, answer_mean
        if self.at == "prompt":
            rows, read = inputs.prompts, prompt_end
        found = states(model, rows, self.layers, read, tick=inputs.tick)
        return Observed({"states": found}, made=len(found))


def states(
    subject: Subject,
    rows: Sequence[Row],
    layers: Sequence[float],
    read: Callable[[Packed, Tensor], Tensor],
    *,
    own: bool = False,
    tick: Tick = lambda n: None,
) -> list[np.ndarray]:
    """Of each row the outputs of the blocks that ``layers`` names, in that order: [layers * D],
    float32.

    ``read(packed, states [N, D]) -> [B, D]`` says which place of a row counts: ``prompt_end`` or
    ``answer_mean``.
    ``own``: states at the tokens' own places instead of those that predict them.
    """
    chosen = [layer_of(w, subject.depth) for w in layers]
    found: list[np.ndarray] = [np.empty(0)] * len(rows)
    with subject.evaluating():
        for places, packed in batches(subject, rows):
            kept: dict[int, Tensor] = {}

            def see(i: int, x: Tensor, packed: Any = packed, kept: Any = kept) -> None:
                if i in chosen:
                    kept[i] = read(packed, x.float()).cpu()

            with subject.watched(packed.own if own else packed.predicted_from, see):
                subject.forward(packed)
            for place, x in zip(
                places, torch.stack([kept[i] for i in chosen], 1).numpy(), strict=True
            ):
                found[place] = x.reshape(-1)
            tick(len(places))
    return found


def prompt_end(packed: Packed, x: Tensor) -> Tensor:
    """The state at the prompt's last token: it predicts the answer's first. [N, D] -> [B, D]."""
    return x[packed.at[1] == 0]


def answer_mean(packed: Packed, x: Tensor) -> Tensor:
    """The mean over the places that predict the answer: [N, D] -> [B, D]."""
    return by_row(packed, x)


def answer_end(packed: Packed, x: Tensor) -> Tensor:
    """The state at the answer's last token: [N, D] -> [B, D]."""
    last = torch.bincount(packed.at[0], minlength=len(packed.rows)).cumsum(0) - 1
    return x[last]
