"""What the start model (or an auxiliary) said about the rows of a stage: measured once, kept on
disk, read by every step.

A second model is never held during training: per-token log-probabilities are scalars, and a
teacher's distribution is its last hidden state times its frozen head.
"""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from expunge.core.data import Row
from expunge.core.errors import Failed
from expunge.core.files import create, make_folder, remove
from expunge.core.stages import Teacher
from expunge.models.base import Batch, TrainableModel

Key = tuple[str, str, str, str, int]  # (role, row id, variant, span, which of several with one id)


def key_of(row: Row, span: str) -> Key:
    return (row.role, row.id, row.variant, span, hash((row.ids, row.labels)))


def label_logp(logits: Tensor, labels: Tensor) -> Tensor:
    """log p(label) of each row: [N, V], [N] -> [N], nats; float32 or wider, over the last axis."""
    wide = torch.promote_types(logits.dtype, torch.float32)
    return -cross_entropy(logits.to(wide), labels, reduction="none")


@dataclass
class Table:
    """Values per scored token of many rows, one after the other in a file: ``[tokens, ...]`` float,
    found by row.
    """

    values: np.ndarray
    span: dict[Key, tuple[int, int]]

    def get(self, rows: Sequence[Row], span: str, device: torch.device) -> Tensor:
        """The values of these rows, concatenated in order: [N, ...]."""
        parts = [self.values[slice(*self.span[key_of(r, span)])] for r in rows]
        return torch.from_numpy(np.concatenate(parts)).to(device)


def batches(
    rows: Iterable[tuple[Row, str]], most_tokens: int = 4096
) -> list[list[tuple[Row, str]]]:
    """Rows sorted by length, cut so that no batch holds more than ``most_tokens``: memory does not
    grow with their number.
    """
    cut: list[list[tuple[Row, str]]] = []
    held = most_tokens + 1
    for item in sorted(rows, key=lambda x: (len(x[0]), x[0].id)):
        if held + len(item[0]) > most_tokens:
            cut.append([])
            held = 0
        cut[-1].append(item)
        held += len(item[0])
    return cut


def room_for(file: Path, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    """An array in a file; Failed, with the size, if the disk has no room: a mapped file that meets
    a full disk kills the process.
    """
    make_folder(file.parent)
    size, free = math.prod(shape) * dtype.itemsize, shutil.disk_usage(file.parent).free
    if size > free:
        raise Failed(
            f"what a frozen model says of {shape[0]} tokens takes {size / 1e9:.2f} GB on disk and "
            f"{free / 1e9:.2f} are free; "
            "free some, or choose a place with --out"
        )
    remove(file)
    # a file of our own: what another left in its place is not written through
    os.close(create(file))
    return np.lib.format.open_memmap(file, mode="w+", dtype=dtype, shape=shape)


def observe(
    model: TrainableModel,
    wanted: Mapping[Key, tuple[Row, str]],
    read: Callable[[TrainableModel, Batch], Tensor],
    file: Path,
    tick: Callable[[int], None],
) -> Table:
    """Run rows through a frozen model in batches and keep ``read(model, packed) -> [N, ...]`` per
    token in ``file``.
    """
    total = sum(sum(r.scored) if s == "answer" else len(r) - 1 for r, s in wanted.values())
    places: dict[Key, tuple[int, int]] = {}
    store: np.ndarray | None = None
    offset = 0
    with model.evaluating():
        for batch in batches(wanted.values()):
            packed = model.pack([r for r, _ in batch], [s for _, s in batch])
            values = read(model, packed).float().cpu().numpy()
            if store is None:
                store = room_for(file, values.dtype, (total, *values.shape[1:]))
            counts = torch.bincount(packed.at[0], minlength=len(batch)).tolist()
            first = 0
            for (row, span), n in zip(batch, counts, strict=True):
                places[key_of(row, span)] = (offset, offset + n)
                store[offset : offset + n] = values[first : first + n]
                offset, first = offset + n, first + n
            tick(len(batch))
    assert store is not None
    return Table(store, places)


def read_logp(model: TrainableModel, packed: Batch) -> Tensor:
    """Log-probabilities of the scored tokens: [N]."""
    out = model.forward(packed)
    assert out.logits is not None
    return label_logp(out.logits, packed.labels)


def read_last(model: TrainableModel, packed: Batch) -> Tensor:
    """What the head is given at the scored tokens: [N, D]."""
    last = model.forward(packed, keep_last=True).last
    assert last is not None
    return last


def read_hidden(layer: int) -> Callable[[TrainableModel, Batch], Tensor]:
    """A function that reads the output of a block at the scored tokens: [N, D]."""

    def read(model: TrainableModel, packed: Batch) -> Tensor:
        return model.forward(packed, want_logits=False, layers=(layer,)).hidden[layer]

    return read


Head = Callable[[Tensor], Tensor]  # what makes logits [N, V] of a teacher's last states [N, D]


@dataclass
class TeacherLogits:
    """A Teacher made ready: rows of logits for given rows of data, from cached hidden states and
    frozen heads.
    """

    provider: Teacher
    sources: tuple[tuple[Table, Head] | None, ...]  # None: the trained model itself, as it is now
    dense: Table | None = None

    def rows(
        self, rows: Sequence[Row], span: str, labels: Tensor, current: Tensor | None = None
    ) -> Tensor:
        """Logits of the scored tokens of these rows: [N, V], no gradient.

        ``current``: the model's own logits of them.
        """
        with torch.no_grad():
            if self.dense is not None:
                return self.dense.get(rows, span, labels.device)
            logits = tuple(
                _own(current) if s is None else s[1](s[0].get(rows, span, labels.device))
                for s in self.sources
            )
            if self.provider.edit is None:
                return logits[0]
            wide = torch.float64 if logits and logits[0].dtype == torch.float64 else torch.float32
            return self.provider.edit(
                tuple(torch.log_softmax(z.to(wide), -1) for z in logits), labels
            )


def _own(current: Tensor | None) -> Tensor:
    if current is None:
        raise Failed(
            "a teacher that is the trained model itself was asked for rows without that model's "
            "logits"
        )
    return current.detach()


def observe_dense(
    model: TrainableModel,
    wanted: Sequence[tuple[Row, str]],
    made: Callable[[Row], Tensor],
    file: Path,
) -> Table:
    """Keep ``made(row) -> [n, V]``, a row of text at a time, in ``file``; n is the number of its
    scored tokens.
    """
    places: dict[Key, tuple[int, int]] = {}
    total = sum(sum(r.scored) if s == "answer" else len(r) - 1 for r, s in wanted)
    store: np.ndarray | None = None
    offset = 0
    with model.evaluating():
        for row, span in wanted:
            values = made(row).float().cpu().numpy()
            if store is None:
                store = room_for(file, values.dtype, (total, values.shape[-1]))
            places[key_of(row, span)] = (offset, offset + len(values))
            store[offset : offset + len(values)] = values
            offset += len(values)
    assert store is not None
    return Table(store, places)
