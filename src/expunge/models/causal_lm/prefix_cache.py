"""Sequences that begin alike: what they share is read once, and each goes on from its keys and
values.

Solved questions before every question are most of what a model reads of a few-shot benchmark.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

# tokens that a family must share and must spare: reading them apart is one forward more
LEAST, SPARED = 64, 256
# and must spare on an accelerator, where a small forward takes as long as one of so many tokens
FORWARD = 2048
Memory = list[tuple[Tensor, Tensor]]  # keys and values of every block: [1, heads, tokens, D]


def families(ids: Sequence[tuple[int, ...]], device: torch.device) -> list[tuple[int, list[int]]]:
    """(tokens shared, places of those who share them), so that many tokens are spared; last of all
    (0, places of the others).

    In sorted order those that share some tokens are neighbors. A family stays whole, or gives way
    to those within it that spare more.
    """
    least = SPARED if device.type == "cpu" else FORWARD
    order = sorted(range(len(ids)), key=lambda i: ids[i])
    open_: list[tuple[int, int, list[tuple[int, int, int]]]] = []
    for last, shared in enumerate([*(_alike(ids[a], ids[b]) for a, b in pairwise(order)), -1]):
        first = last
        found: list[tuple[int, int, int]] = []
        while open_ and open_[-1][0] > shared:
            tokens, first, within = open_.pop()
            own, found = (tokens, first, last + 1), within + found
            found = [own] if _spared(own, least) > sum(_spared(x, least) for x in found) else found
        if open_ and open_[-1][0] == shared:
            open_[-1][2].extend(found)
        else:
            open_.append((shared, first, found))
    some = [(tokens, order[first:end]) for tokens, first, end in found]
    return [*some, (0, sorted({*order}.difference(*(who for _, who in some))))]


def _alike(a: tuple[int, ...], b: tuple[int, ...]) -> int:
    return bisect_left(range(min(len(a), len(b))), True, key=lambda i: a[: i + 1] != b[: i + 1])


def _spared(family: tuple[int, int, int], least: int) -> int:
    tokens, first, end = family
    spared = tokens * (end - first - 1)
    return spared if tokens >= LEAST and spared >= least else 0


class Roomy(DynamicLayer):
    """Keys and values in a store that has room for what is still to come: a new token is put behind
    those before it, which stay.
    """

    keys: Tensor
    values: Tensor

    def __init__(self, room: int) -> None:
        super().__init__()
        self.room = room
        self.stores: list[Tensor] = []

    def update(
        self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any
    ) -> tuple[Tensor, Tensor]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        start = self.get_seq_length()
        end = start + key_states.shape[-2]
        if not self.stores:  # the first tokens, or rows have left
            before = (
                (self.keys, self.values)
                if start
                else (key_states[..., :0, :], value_states[..., :0, :])
            )
            self.stores = [
                x.new_empty(*x.shape[:2], max(self.room, end), x.shape[3]) for x in before
            ]
            for store, x in zip(self.stores, before, strict=True):
                store[..., :start, :] = x
        for store, x in zip(self.stores, (key_states, value_states), strict=True):
            store[..., start:end, :] = x
        self.keys, self.values = (store[..., :end, :] for store in self.stores)
        return self.keys, self.values

    def batch_select_indices(self, indices: Tensor) -> None:
        """Only these rows go on; the store of all is given back before the next layer's is copied."""
        super().batch_select_indices(indices)
        self.stores = []


def keeps_all(model: Any) -> bool:
    """Whether this model's cache holds every token's keys and values, wherever the sequence ends:
    no window, no state.

    Nor an encoding of places that changes with the length.
    """
    scaling = str(getattr(model.config.get_text_config(), "rope_parameters", None))
    whole = all(type(layer) is DynamicLayer for layer in DynamicCache(config=model.config).layers)
    return whole and "dynamic" not in scaling and "longrope" not in scaling


def read(model: Any, ids: Sequence[int]) -> Memory:
    """What the tokens leave behind in every block."""
    cache = DynamicCache(config=model.config)
    device = next(model.parameters()).device
    model(
        input_ids=torch.tensor([list(ids)], device=device),
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=1,
    )
    return [(layer.keys, layer.values) for layer in cache.layers]


def going_on(model: Any, memories: Sequence[Memory], room: int) -> DynamicCache:
    """A cache for a batch of which row i goes on from ``memories[i]``, at the right; room for so
    many tokens, these counted.

    With no memories: an empty one.
    """
    cache = DynamicCache(config=model.config)
    if keeps_all(model):
        cache.layers = [Roomy(room) for _ in cache.layers]
    for layer, rows in zip(cache.layers, zip(*memories, strict=True), strict=bool(memories)):
        width = max(keys.shape[2] for keys, _ in rows)
        layer.update(
            *(
                torch.cat([pad(x, (0, 0, width - x.shape[2], 0)) for x in some])
                for some in zip(*rows, strict=True)
            )
        )
    return cache
