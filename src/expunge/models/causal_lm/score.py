"""The logits that predict the answers of many rows, batch by batch.

Answers to one prompt share it, and prompts that begin alike share their beginning.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from expunge.core.data import Row
from expunge.models.base import Scored
from expunge.models.batching import cut
from expunge.models.causal_lm.answer_trees import (
    Tree,
    forward_trees,
    goes_on,
    grow,
    longest,
    pack_trees,
)
from expunge.models.causal_lm.forward import at_once, capacity_for, forward, pack
from expunge.models.causal_lm.prefix_cache import Memory, families, read

# of a batch that goes on from a shared beginning: its keys and values are held once a line
KEYS = 1 << 14


def scored(model: Any, rows: Sequence[Row], vocab: int) -> Iterator[Scored]:
    """Every row once, in batches that are bounded in tokens.

    Long rows come first: what their batches give back has room for all that follow. The model is
    to be in evaluation mode, without gradients.

    Args:
        model: The torch module.
        rows: What is scored; in any order.
        vocab: How many logits a token has.
    """
    device = next(model.parameters()).device
    trees = _trees(model, rows)
    # the last token of a prompt predicts, so it is not shared
    alike = families([t.rows[0].ids[: max(0, t.shared - 1)] for t in trees], device)
    if len(alike) > 1 and not goes_on(model):
        alike = [(0, list(range(len(trees))))]
    most = max(512, min(at_once(device), (1 << 28) // vocab))
    for shared, members in alike:
        some = sorted((replace(trees[i], read=shared) for i in members), key=len)
        memory = read(model, some[0].rows[0].ids[:shared]) if shared else None
        yield from _of_trees(model, [t for t in some if shared or len(t.rows) > 1], most, memory)
        single = [t.rows[0] for t in some if not shared and len(t.rows) == 1]
        for batch in reversed(cut(single, most)):
            flat = pack(batch, capacity_for(model)).to(device)
            logits = forward(model, flat).logits
            assert logits is not None
            yield Scored(flat.rows, flat.labels, logits, sum(map(len, batch)))


def _trees(model: Any, rows: Sequence[Row]) -> list[Tree]:
    """The rows as trees of answers to one prompt, none longer than the model reads at once."""
    fits = longest(model)
    trees: list[Tree] = []
    for tree in grow(rows):
        if max(map(len, tree.rows)) <= fits:
            trees.append(tree)
        else:
            trees += [Tree((row,)) for row in tree.rows]
    return trees


def _of_trees(
    model: Any, trees: Sequence[Tree], most: int, memory: Memory | None
) -> Iterator[Scored]:
    """The rows of trees that go on from one shared beginning, the longest first."""
    device = next(model.parameters()).device
    shared = trees[0].read if trees else 0

    def size(tree: Tree) -> int:
        return max(len(tree), -(-(shared + len(tree)) * most // KEYS))

    spent = shared  # the beginning is read once
    for batch in reversed(cut(trees, most, size)):
        packed = pack_trees(batch)
        logits = forward_trees(model, packed, memory).logits
        assert logits is not None
        yield Scored(packed.rows, packed.labels.to(device), logits, spent + sum(map(len, batch)))
        spent = 0
