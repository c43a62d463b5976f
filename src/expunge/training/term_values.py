"""What the terms of a stage see of one batch: the forward of all its streams, cut into LossInputs,
and every term's values on them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from expunge.core.data import Row
from expunge.core.stages import Term
from expunge.losses.inputs import LossInputs
from expunge.models.base import TrainableModel
from expunge.models.batching import table_of
from expunge.training.reference import label_logp
from expunge.training.sampler import Unit
from expunge.training.teachers import Frozen, layers_of


def wants_logits(term: Term) -> bool:
    """Whether a term reads anything of the head: all do, but those that ask for hidden states only."""
    return not term.needs or not all(n.startswith(("hidden:", "start_hidden:")) for n in term.needs)


def passes(
    model: TrainableModel,
    terms: Sequence[Term],
    units: Sequence[Unit],
    frozen: Frozen,
    seed: int = 0,
) -> dict[tuple[str, str], LossInputs]:
    """One forward of all streams of these units; (stream, span) -> the LossInputs that terms may
    see (teachers come in ``values_of``).
    """
    terms = [t for t in terms if t.streams]
    pairs = dict.fromkeys((s, t.span) for t in terms for s in t.streams)
    rows = [(u[s], span) for s, span in pairs for u in units]
    packed = model.pack([r for r, _ in rows], [s for _, s in rows])
    device = packed.labels.device
    out = model.forward(
        packed,
        want_logits=any(map(wants_logits, terms)),
        layers=layers_of(terms, "hidden", model),
    )
    logp = label_logp(out.logits, packed.labels) if out.logits is not None else None
    counts = torch.bincount(packed.at[0], minlength=len(rows)).tolist()
    made: dict[tuple[str, str], LossInputs] = {}
    for k, (stream, span) in enumerate(pairs):
        first, last = sum(counts[: k * len(units)]), sum(counts[: (k + 1) * len(units)])
        cut = slice(first, last)
        mine = [u[stream] for u in units]
        part = _Part((packed.at[0][cut] - k * len(units), packed.at[1][cut]), len(mine))
        asking = [t for t in terms if stream in t.streams and t.span == span]
        labels = packed.labels[cut]
        start_logp = (
            frozen.logp.get(mine, span, device)
            if any("start_logp" in t.needs for t in asking) and frozen.logp
            else None
        )
        made[stream, span] = LossInputs(
            stream=stream,
            row_id=tuple(r.id for r in mine),
            mask=part.table(torch.ones_like(labels, dtype=torch.bool)),
            labels=part.table(labels),
            logp=None if logp is None else part.table(logp[cut]),
            start_logp=None if start_logp is None else part.table(start_logp),
            weight=part.table(_weights(mine, span, device))
            if any("weight" in t.needs for t in asking)
            else None,
            hidden={layer: part.table(h[cut]) for layer, h in out.hidden.items()},
            start_hidden={
                n: part.table(frozen.hidden[n].get(mine, span, device))
                for n in layers_of(asking, "start_hidden", model)
            },
            at=part.at,
            logits=None if out.logits is None else out.logits[cut],
            seed=seed,
        )
    return made


def _weights(rows: Sequence[Row], span: str, device: torch.device) -> Tensor:
    """The rows' own factors of their scored tokens, 1 where a row has none: [N]."""
    return torch.tensor(
        [r.weights[i] if r.weights else 1.0 for r in rows for i in r.scored_positions(span)],
        device=device,
    )


@dataclass(frozen=True)
class _Part:
    """The scored tokens of one stream in a batch: of each its (row, slot) in the stream's table."""

    at: tuple[Tensor, Tensor]
    rows: int

    def table(self, x: Tensor) -> Tensor:
        return table_of(x, self.at, self.rows)


def values_of(
    terms: Sequence[Term],
    units: Sequence[Unit],
    seen: Mapping[tuple[str, str], LossInputs],
    frozen: Frozen,
) -> dict[str, Tensor]:
    """Every term's sum over its rows (before division and coefficient); terms that read no rows are
    left out.
    """

    def view(term: Term, stream: str) -> LossInputs:
        p = seen[stream, term.span]
        if term.name not in frozen.teachers:
            return p
        rows = frozen.teachers[term.name].rows(
            [u[stream] for u in units], term.span, p.labels[p.at], p.logits
        )
        return replace(p, teacher=rows)

    return {t.name: t(*(view(t, s) for s in t.streams)).sum() for t in terms if t.streams}
