"""Logit lens: what the output of every block says of the answer through the model's own final norm
and head.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from expunge.core.data import Row
from expunge.core.progress import Tick
from expunge.evaluation.observations.base import Field, Inputs, Observation, Observed, References
from expunge.evaluation.observations.packed_rows import batches, by_row
from expunge.models.causal_lm.model import Subject

NEVER = np.iinfo(np.int32).max


@dataclass(frozen=True)
class LogitLens(Observation):
    """Every block's output through the final norm and the head."""

    name: ClassVar = "logit_lens"
    title: ClassVar = "hidden states through the head"
    unit: ClassVar = "rows through the lens"
    fields: ClassVar = {"lens": Field(), "lens_rank": Field("int32")}
    needs: ClassVar = frozenset({"score", "hidden"})

    def run(self, model: Subject, inputs: Inputs, references: References) -> Observed:
        """``lens`` [blocks] and ``lens_rank`` [4 * blocks] of each row, see ``lens``."""
        found = lens(model, inputs.answers, inputs.tick)
        values = {name: [row[name] for row in found] for name in self.fields}
        return Observed(values, made=len(found))


def lens(
    subject: Subject, rows: Sequence[Row], tick: Tick = lambda n: None
) -> list[dict[str, np.ndarray]]:
    """Every block's output through the model's own final norm and head, of each row.

    ``lens`` [blocks]: the mean log-probability of the answer's tokens, nats. ``lens_rank`` [4 *
    blocks]: of the answer's first token, how many tokens are likelier, how many less likely, and
    how many gained more, or less, probability from the block below to this one (the first block has
    no block below: out of every budget).
    """
    norms, head = subject.final_norms(rows[0].ids[:4]), subject.head(rows)
    depth, found = subject.depth, [dict[str, np.ndarray]() for _ in rows]
    with subject.evaluating():
        for places, packed in batches(subject, rows):
            first = torch.nonzero(packed.at[1] == 0)[:, 0]
            said = torch.zeros(len(places), depth, dtype=torch.float64)
            ranks = np.full((len(places), 4, depth), NEVER, dtype=np.int32)
            below: list[Tensor] = []

            def see(
                i: int,
                x: Tensor,
                packed: Any = packed,
                first: Any = first,
                said: Any = said,
                ranks: Any = ranks,
                below: Any = below,
            ) -> None:
                for norm in norms:
                    x = norm(x)
                logp = head(x).float().log_softmax(-1)
                said[:, i] = by_row(
                    packed, logp.gather(1, packed.labels[:, None])[:, 0].double()
                ).cpu()
                p, label = logp[first].exp(), packed.labels[first, None]
                ranks[:, :2, i] = _ranks(logp[first], label)
                if below:
                    ranks[:, 2:, i] = _ranks(p - below.pop(), label)
                below.append(p)

            with subject.watched(packed.predicted_from, see):
                subject.forward(packed)
            for place, s, r in zip(places, said.numpy(), ranks, strict=True):
                found[place] = {"lens": s.astype(np.float32), "lens_rank": r.reshape(-1)}
            tick(len(places))
    return found


def _ranks(x: Tensor, label: Tensor) -> np.ndarray:
    """How many entries of each row [B, V] are above, and how many below, that of ``label`` [B, 1]:
    [B, 2].
    """
    own = x.gather(1, label)
    return torch.stack([(x > own).sum(1), (x < own).sum(1)], 1).cpu().numpy()
