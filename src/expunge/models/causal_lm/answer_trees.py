"""Several answers to one prompt in one sequence: the prompt is read once, each answer sees the
prompt and itself.

A row of seven answers costs 25 % fewer tokens than seven rows (TOFU forget10). The mask is given
explicitly, so this is used only where the model takes one; ``longest`` tries that once per model
against plain rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers import DynamicCache

from expunge.core.data import Row
from expunge.models.causal_lm.forward import Outputs, capacity_for, forward, pack
from expunge.models.causal_lm.positions import check_places
from expunge.models.causal_lm.prefix_cache import Memory, going_on, keeps_all, read
from expunge.models.causal_lm.selftest import tolerance
from expunge.models.modules import evaluating


@dataclass(frozen=True)
class Tree:
    """Rows that begin with the same ``n_prompt`` tokens.

    The first ``read`` of them have been read already and are not counted.
    """

    rows: tuple[Row, ...]
    read: int = 0

    @property
    def shared(self) -> int:
        return self.rows[0].n_prompt

    def __len__(self) -> int:
        return self.shared - self.read + sum(len(r) - self.shared for r in self.rows)


@dataclass(frozen=True)
class PackedTrees:
    """Trees, one per line of the batch; the fields that ``forward`` reads mean what they mean in
    ``Packed``.
    """

    rows: tuple[Row, ...]
    input_ids: Tensor
    position_ids: Tensor
    mask: Tensor
    predicted_from: tuple[Tensor, Tensor]
    labels: Tensor


def grow(rows: Sequence[Row]) -> list[Tree]:
    """Rows of one example that share their prompt become one tree; order of first appearance."""
    found: dict[tuple[str, str, tuple[int, ...]], list[Row]] = {}
    for row in rows:
        found.setdefault((row.role, row.id, row.ids[: row.n_prompt]), []).append(row)
    return [Tree(tuple(members)) for members in found.values()]


def pack_trees(trees: Sequence[Tree]) -> PackedTrees:
    """Lay each tree into one line: the prompt, then the answers one after the other, each at the
    positions it would have alone.

    Of all trees as much has been read already; every token sees that, too.
    """
    width, already = max(len(t) for t in trees), trees[0].read
    ids = torch.zeros(len(trees), width, dtype=torch.long)
    positions = torch.zeros(len(trees), width, dtype=torch.long)
    # -1: unused, 0: prompt, i + 1: answer i
    branch = torch.full((len(trees), width), -1, dtype=torch.long)
    lines, places, labels, rows = [], [], [], []
    for b, tree in enumerate(trees):
        p = offset = tree.shared - already
        ids[b, :p] = torch.tensor(tree.rows[0].ids[already : tree.shared])
        positions[b, :p] = torch.arange(already, tree.shared)
        branch[b, :p] = 0
        for i, row in enumerate(tree.rows):
            n = len(row) - tree.shared
            ids[b, offset : offset + n] = torch.tensor(row.ids[tree.shared :])
            positions[b, offset : offset + n] = torch.arange(tree.shared, len(row))
            branch[b, offset : offset + n] = i + 1
            for j in range(n):
                if row.scored[tree.shared + j]:
                    lines.append(b)
                    places.append(offset + j - 1 if j else p - 1)
                    labels.append(row.ids[tree.shared + j])
            offset += n
            rows.append(row)
    same = branch[:, :, None] == branch[:, None, :]
    prompt = (branch[:, None, :] == 0) & (branch[:, :, None] >= 0)
    causal = torch.ones(width, width, dtype=torch.bool).tril()
    mask = pad((same | prompt) & causal, (already, 0), value=True)[:, None]
    at = (torch.tensor(lines), torch.tensor(places))
    return PackedTrees(tuple(rows), ids, positions, mask, at, torch.tensor(labels))


def forward_trees(model: Any, packed: PackedTrees, memory: Memory | None = None) -> Outputs:
    """Logits [N, V] for the scored tokens of the trees' rows, in order of rows.

    ``memory``: of what has been read already.
    """
    check_places(model, packed.rows)
    chosen = packed.predicted_from

    def select(_module: Any, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (args[0][chosen].unsqueeze(0), *args[1:])

    handle = model.get_output_embeddings().register_forward_pre_hook(select)
    try:
        device = next(model.parameters()).device
        out = model(
            input_ids=packed.input_ids.to(device),
            position_ids=packed.position_ids.to(device),
            attention_mask=packed.mask.to(device),
            past_key_values=None
            if memory is None
            else going_on(model, [memory] * len(packed.input_ids), packed.mask.shape[-1]),
            use_cache=memory is not None,
        )
    finally:
        handle.remove()
    return Outputs(out.logits[0])


def longest(model: Any) -> int:
    """How long a row may be for this model to give it in a tree the logits that it has alone; 0:
    trees do not work. Tried once per model.

    The mask of a tree hides the other answers and nothing else, so that no row may be longer than a
    layer's window.
    """
    if not hasattr(model, "_expunge_trees"):
        windows = [
            layer.sliding_window
            for layer in DynamicCache(config=model.config).layers
            if hasattr(layer, "sliding_window")
        ]
        works = (
            getattr(model.config, "_attn_implementation", "") == "sdpa"
            and capacity_for(model) != 0
            and _tried(model, 0)
        )
        model._expunge_trees = min([1 << 30, *windows]) if works else 0
    return model._expunge_trees


def goes_on(model: Any) -> bool:
    """Whether this model can go on from what it read apart, tree or not; tried once per model."""
    if not hasattr(model, "_expunge_goes_on"):
        model._expunge_goes_on = longest(model) > 0 and keeps_all(model) and _tried(model, 5)
    return model._expunge_goes_on


def _tried(model: Any, n: int) -> bool:
    """Whether a tree's answers have their logits behind n tokens that were read before."""
    prompt = tuple(range(3, 11))
    rows = [
        Row(
            "",
            "",
            "",
            str(i),
            prompt + tuple(range(20 + 5 * i, 24 + 6 * i)),
            (False,) * 8 + (True,) * (4 + i),
            8,
            False,
        )
        for i in range(3)
    ]
    device = next(model.parameters()).device
    with evaluating(model):
        together = forward_trees(
            model, pack_trees([Tree(tuple(rows), n)]), read(model, prompt[:n]) if n else None
        ).logits
        alone = forward(model, pack(rows, 0).to(device)).logits
    assert together is not None and alone is not None
    return bool((together - alone).abs().max() <= tolerance(alone))
