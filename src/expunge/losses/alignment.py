"""Two texts that say the same of different names: which tokens correspond, and what a model's rows
for one say about the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

import torch
from torch import Tensor

from expunge.losses.inputs import LossInputs, total

Ids = Sequence[int]


@dataclass(frozen=True)
class Block:
    """A name and what stands in its place: tokens ``first`` to before ``last`` of the one text,
    ``other_first`` ... of the other.
    """

    first: int
    last: int
    other_first: int
    other_last: int


def blocks_of(ids: Ids, other: Ids) -> list[Block]:
    """Where two texts differ, in order.

    A difference one common token after another is the rest of the same name (names may share a
    piece), unless it begins as a name did.

    Args:
        ids: Tokens of the one text.
        other: Tokens of the other text.

    Returns:
        A block for each difference.
    """
    found: list[Block] = []
    begun: set[tuple[int, int]] = set()
    for tag, i, i_end, j, j_end in SequenceMatcher(None, ids, other, autojunk=False).get_opcodes():
        if tag == "equal":
            continue
        if tag == "replace":
            start = (ids[i], other[j])
        else:
            start = None
        if found and i - found[-1].last <= 1 and start not in begun:
            found[-1] = Block(found[-1].first, i_end, found[-1].other_first, j_end)
        else:
            found.append(Block(i, i_end, j, j_end))
            begun |= {start} if start else set()
    return found


def places(ids: Ids, blocks: Sequence[Block]) -> dict[int, int]:
    """Tokens of two texts that a model predicts under the same circumstances.

    Every token outside the blocks, and the first of each block: what comes before it is the same
    but for names. What follows inside a name has no counterpart.

    Args:
        ids: Tokens of the one text.
        blocks: Where the two texts differ.

    Returns:
        Index in the one text -> index in the other.
    """
    found: dict[int, int] = {}
    i, shift = 0, 0
    for b in (*blocks, Block(len(ids), len(ids), 0, 0)):
        found |= {k: k + shift for k in range(i, b.first)}
        if b.first < b.last and b.other_first < b.other_last:
            found[b.first] = b.other_first
        i = b.last
        shift = b.other_last - b.last
    return found


def first_tokens(ids: Ids, other: Ids, blocks: Sequence[Block]) -> dict[int, int]:
    """The first tokens of replaced names.

    Args:
        ids: Tokens of the one text.
        other: Tokens of the other text.
        blocks: Where the two texts differ.

    Returns:
        First token of a replacement -> first token of the name that it replaces.
    """
    pairs = (
        (other[b.other_first], ids[b.first])
        for b in blocks
        if b.first < b.last and b.other_first < b.other_last
    )
    return {new: old for new, old in pairs if new != old}


def moved(p: Tensor, back: Mapping[int, int]) -> Tensor:
    """Probabilities with those of some words given to others.

    Args:
        p: Probabilities, [n, V].
        back: Word that loses its probability -> word that gets it.

    Returns:
        Probabilities, [n, V]; each row keeps its sum.
    """
    q = p.clone()
    for new, old in back.items():
        q[:, old] += p[:, new]
        q[:, new] -= p[:, new]
    return q


def matched_values(p: LossInputs, *, rows: object) -> Tensor:
    """A divergence between teacher and model, mean over the tokens that have a teacher.

    Args:
        p: The scored tokens of a batch, with ``teacher`` and ``logits``; NaN marks no teacher.
        rows: The divergence, ``(teacher rows, logit rows) -> values``.

    Returns:
        One value per row, [B]; 0 where no token has a teacher.
    """
    assert p.teacher is not None and p.logits is not None and p.at is not None
    known = ~p.teacher[:, 0].isnan()
    at = (p.at[0][known], p.at[1][known])
    values = rows(p.teacher[known], p.logits[known])  # type: ignore[operator]
    table = torch.zeros(p.mask.shape, dtype=values.dtype, device=values.device).index_put(
        at, values
    )
    counts = torch.zeros(p.mask.shape, device=values.device).index_put(
        at, torch.ones(len(at[0]), device=values.device)
    )
    return total(table, p.mask) / total(counts, p.mask).clamp(min=1).to(values.dtype)
