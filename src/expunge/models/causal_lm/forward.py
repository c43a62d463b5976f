"""Rows through a model without padding: packed into bins, the head run on scored positions only.

One ``model(...)`` call per batch. Position ids restart at each row and no attention mask is given:
transformers then builds the block-diagonal causal mask itself, whatever the architecture. The head
is reached by a hook on its input, so whatever the model does after it (soft-caps, scaling) stays
right.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from expunge.core.data import Row
from expunge.models.base import Outputs
from expunge.models.batching import table_of
from expunge.models.causal_lm.modules import blocks
from expunge.models.causal_lm.positions import check_places
from expunge.models.causal_lm.selftest import tolerance
from expunge.models.modules import evaluating

# kinds of layers that carry something along the text
STATES = ("linear", "conv", "mamba", "recurrent", "hybrid")


@dataclass(frozen=True)
class Packed:
    """Rows laid into bins of one length.

    ``input_ids, position_ids``: [bins, L]. For each of the N scored tokens, in order of rows: ``at
    = (row, slot)`` its place in a compact [B, T] table, ``own = (bin, position)`` where it stands,
    and the position before it predicts it; ``labels`` [N].
    """

    rows: tuple[Row, ...]
    input_ids: Tensor
    position_ids: Tensor
    at: tuple[Tensor, Tensor]
    own: tuple[Tensor, Tensor]
    labels: Tensor

    @property
    def predicted_from(self) -> tuple[Tensor, Tensor]:
        """(bin, position) whose logits predict each scored token."""
        return self.own[0], self.own[1] - 1

    def to(self, device: torch.device) -> Packed:
        move = lambda pair: (pair[0].to(device), pair[1].to(device))
        return Packed(
            self.rows,
            self.input_ids.to(device),
            self.position_ids.to(device),
            move(self.at),
            move(self.own),
            self.labels.to(device),
        )

    def table(self, x: Tensor) -> Tensor:
        """Packed values [N, ...] -> [B, T, ...], zero where a row has no such token."""
        return table_of(x, self.at, len(self.rows))


def at_once(device: torch.device) -> int:
    """How many tokens a forward reads best: a CPU gains nothing from more, and short batches pad
    less.
    """
    return 1024 if device.type == "cpu" else 4096


def bins_of(lengths: Sequence[int], capacity: int) -> list[list[int]]:
    """First-fit-decreasing: indices of rows per bin, no bin longer than ``capacity`` (a longer row
    stands alone).
    """
    bins: list[list[int]] = []
    left: list[int] = []
    for i in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        spot = next((b for b, room in enumerate(left) if room >= lengths[i]), None)
        if spot is None:
            bins.append([i])
            left.append(max(capacity, lengths[i]) - lengths[i])
        else:
            bins[spot].append(i)
            left[spot] -= lengths[i]
    return bins


def pack(
    rows: Sequence[Row], capacity: int | None = None, spans: Sequence[str] | None = None
) -> Packed:
    """Lay rows into bins as long as the longest row (or ``capacity``; 0 = every row alone).

    ``spans[i]`` is answer or all.

    Attention costs the square of a bin's length and padding costs its unused end; bins of the
    longest row's length keep both small (measured on TOFU rows: 0.70 of the time of padded batches,
    forward and backward).
    """
    lengths = [len(r) for r in rows]
    layout = (
        [[i] for i in range(len(rows))]
        if capacity == 0
        else bins_of(lengths, max(capacity or 0, max(lengths)))
    )
    width = max(sum(lengths[i] for i in b) for b in layout)
    ids = torch.zeros(len(layout), width, dtype=torch.long)
    positions = torch.zeros(len(layout), width, dtype=torch.long)
    start: dict[int, tuple[int, int]] = {}
    for b, members in enumerate(layout):
        offset = 0
        for i in members:
            ids[b, offset : offset + lengths[i]] = torch.tensor(rows[i].ids)
            positions[b, offset : offset + lengths[i]] = torch.arange(lengths[i])
            start[i] = (b, offset)
            offset += lengths[i]
        # what is left is a row of its own that nobody reads
        positions[b, offset:] = torch.arange(width - offset)
    row_at, slot_at, bin_at, pos_at, labels = [], [], [], [], []
    for i, row in enumerate(rows):
        b, offset = start[i]
        for slot, position in enumerate(row.scored_positions(spans[i] if spans else "answer")):
            row_at.append(i)
            slot_at.append(slot)
            bin_at.append(b)
            pos_at.append(offset + position)
            labels.append((row.labels or row.ids)[position])
    index = lambda x: torch.tensor(x, dtype=torch.long)
    return Packed(
        tuple(rows),
        ids,
        positions,
        (index(row_at), index(slot_at)),
        (index(bin_at), index(pos_at)),
        index(labels),
    )


def capacity_for(model: Any) -> int | None:
    """The bin length that this model can take: None = the longest row, 0 = rows cannot share a bin
    (recurrent models).

    Flash attention reads restarting positions only in a single bin, so there everything goes into
    one. Whether rows really stay apart is tried once per model, on two rows beside each other and
    alone.
    """
    if not hasattr(model, "_expunge_capacity"):
        flash = str(getattr(model.config, "_attn_implementation", "")).startswith("flash")
        apart = not has_states(model) and _rows_stay_apart(model, 1 << 30 if flash else 12)
        model._expunge_capacity = (1 << 30 if flash else None) if apart else 0
    return model._expunge_capacity


def has_states(model: Any) -> bool:
    """Whether a layer convolves over tokens or carries a state from one to the next: no mask keeps
    such from a row's neighbor.

    A probe alone does not tell: on weights that have learned little, what is carried over is small.
    """
    config = model.config.get_text_config()
    kinds = [
        kind
        for name in ("layer_types", "layers_block_type", "block_types")
        for kind in getattr(config, name, None) or ()
    ]
    if any(word in str(kind) for kind in kinds for word in STATES):
        return True
    return any(isinstance(m, nn.Conv1d) for m in blocks(model).modules())


def _rows_stay_apart(model: Any, capacity: int) -> bool:
    row = lambda first, n: Row(
        "",
        "",
        "",
        "",
        tuple((first + i) % 97 for i in range(n)),
        (False,) + (True,) * (n - 1),
        1,
        False,
    )
    rows = [row(3, 7), row(11, 5), row(29, 6), row(41, 6)]
    device = next(model.parameters()).device
    with evaluating(model):
        together = forward(model, pack(rows, capacity).to(device)).logits
        alone = forward(model, pack(rows, 0).to(device)).logits
    assert together is not None and alone is not None
    return bool((together - alone).abs().max() <= tolerance(alone))


class _Stop(Exception):
    """Leaves a forward once everything that is needed has been seen."""


@contextmanager
def _tapped(
    model: Any, packed: Packed, found: Outputs, layers: Sequence[int], stop: bool
) -> Iterator[None]:
    """Hooks that keep the outputs of blocks at the scored tokens' own positions, and leave after
    the deepest if ``stop``.
    """
    with ExitStack() as stack:
        for layer in layers:

            def keep(_module: Any, _args: Any, output: Any, layer: int = layer) -> None:
                states = output[0] if isinstance(output, tuple) else output
                found.hidden[layer] = states[packed.own]
                if stop and layer == max(layers):
                    raise _Stop

            handle = blocks(model)[layer].register_forward_hook(keep)
            stack.callback(handle.remove)
        yield


def forward(
    model: Any,
    packed: Packed,
    *,
    want_logits: bool = True,
    keep_last: bool = False,
    layers: Sequence[int] = (),
) -> Outputs:
    """One forward of all rows: logits [N, V] for the scored tokens, and what blocks ``layers`` put
    out.

    Without ``want_logits`` the forward stops after the deepest of ``layers``: no head, and no
    backward above it. Gradients flow.
    """
    check_places(model, packed.rows)
    found = Outputs()
    kept: list[Tensor] = []

    def select(_module: Any, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        chosen = args[0][packed.predicted_from].unsqueeze(0)
        if keep_last:
            kept.append(chosen[0])
        return (chosen, *args[1:])

    with _tapped(model, packed, found, layers, stop=not want_logits):
        handle = model.get_output_embeddings().register_forward_pre_hook(select)
        try:
            result = model(
                input_ids=packed.input_ids, position_ids=packed.position_ids, use_cache=False
            )
        except _Stop:
            return found
        finally:
            handle.remove()
    return Outputs(result.logits[0], kept[0] if kept else None, found.hidden)
