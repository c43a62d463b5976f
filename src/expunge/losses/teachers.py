"""Edits of a teacher's rows, for ``Teacher(edit=...)``: (log-softmaxed rows, one [N, V] per source;
labels [N]) -> [N, V] logits, nats.

What is returned need not sum to one. A word may be given -inf: forward KL and cross-entropy never
weigh it, reverse KL to it is infinite.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def turned_down(logits: tuple[Tensor, ...], labels: Tensor, *, beta: float) -> Tensor:
    """z - beta e_y: the label's logit is beta lower (UNDIAL); 0 is the source itself."""
    return _at_label(logits[0], labels, logits[0].gather(-1, labels[:, None])[:, 0] - beta)


def without_label(logits: tuple[Tensor, ...], labels: Tensor) -> Tensor:
    """The label is impossible, every other word as the source has it, renormalized: beta ->
    infinity of ``turned_down`` (CE-U).
    """
    return _at_label(logits[0], labels, torch.full_like(logits[0][:, 0], -math.inf))


def unlike_reinforced(logits: tuple[Tensor, ...], labels: Tensor, *, alpha: float) -> Tensor:
    """z - alpha relu(z_r - z): words that the second source likes better than the first are turned
    down (WHP, RKLD, E2URec).

    z and z_r are centered, each row by its own mean over the words: a constant added to one model's
    logits then does nothing, and the rest is what the papers do to raw logits. Log-probabilities
    would hide most of it: a word that the second source knows by heart is hardly likelier there
    than it was, while its raw logit has grown, and all other words' log-probabilities have fallen.
    """
    own, reinforced = (rows - rows.mean(-1, keepdim=True) for rows in logits)
    return own - alpha * torch.relu(reinforced - own)


def certain(row: Tensor) -> Tensor:
    """Its arg-max as the only possible word: [N, V] -> [N, V] of 0 and -inf.

    Not an edit: put it around one.
    """
    return torch.full_like(row, -math.inf).scatter(-1, row.argmax(-1, keepdim=True), 0.0)


def mean_of(logits: tuple[Tensor, ...], labels: Tensor) -> Tensor:
    """log of the mean of the sources' probabilities."""
    return torch.logsumexp(torch.stack(logits), 0) - math.log(len(logits))


def uniform(logits: tuple[Tensor, ...], labels: Tensor) -> Tensor:
    """Every word alike."""
    return torch.zeros_like(logits[0])


def _at_label(rows: Tensor, labels: Tensor, values: Tensor) -> Tensor:
    return rows.scatter(-1, labels[:, None], values[:, None])
