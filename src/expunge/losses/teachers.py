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
    """z - beta e_y: the label's logit is beta lower (UNDIAL).

    Args:
        logits: Logits of the source, one tensor [N, V].
        labels: The label of each row, [N].
        beta: How much lower; 0 gives the source itself.

    Returns:
        Logits, [N, V].
    """
    return _at_label(logits[0], labels, logits[0].gather(-1, labels[:, None])[:, 0] - beta)


def without_label(logits: tuple[Tensor, ...], labels: Tensor) -> Tensor:
    """The label is impossible, every other word as the source has it (CE-U).

    The limit of ``turned_down`` as beta grows.

    Args:
        logits: Logits of the source, one tensor [N, V].
        labels: The label of each row, [N].

    Returns:
        Logits, [N, V].
    """
    return _at_label(logits[0], labels, torch.full_like(logits[0][:, 0], -math.inf))


def unlike_reinforced(logits: tuple[Tensor, ...], labels: Tensor, *, alpha: float) -> Tensor:
    """z - alpha relu(z_r - z): words that a second source prefers are turned down.

    Taken by WHP, RKLD and E2URec. z and z_r are centered, each row by its own mean over the words:
    a constant added to one model's logits then does nothing, and the rest is what the papers do to
    raw logits. Log-probabilities would hide most of it: a word that the second source has memorized
    is hardly likelier there than it was, while its raw logit has grown, and the log-probabilities
    of all other words have fallen.

    Args:
        logits: Logits of the source and of the reinforced source, two tensors [N, V].
        labels: Not used.
        alpha: How strongly they are turned down.

    Returns:
        Logits, [N, V], centered.
    """
    own, reinforced = (rows - rows.mean(-1, keepdim=True) for rows in logits)
    return own - alpha * torch.relu(reinforced - own)


def certain(row: Tensor) -> Tensor:
    """The arg-max of each row as the only possible word.

    Not an edit of a source: apply it to the result of one.

    Args:
        row: Logits, [N, V].

    Returns:
        Logits of 0 and -inf, [N, V].
    """
    return torch.full_like(row, -math.inf).scatter(-1, row.argmax(-1, keepdim=True), 0.0)


def mean_of(logits: tuple[Tensor, ...], labels: Tensor) -> Tensor:
    """The log of the mean of the sources' probabilities.

    Args:
        logits: Log-probabilities of each source, tensors [N, V].
        labels: Not used.

    Returns:
        Log-probabilities, [N, V].
    """
    return torch.logsumexp(torch.stack(logits), 0) - math.log(len(logits))


def uniform(logits: tuple[Tensor, ...], labels: Tensor) -> Tensor:
    """Every word with the same probability.

    Args:
        logits: Logits of the source, which give the shape.
        labels: Not used.

    Returns:
        Logits of 0, [N, V].
    """
    return torch.zeros_like(logits[0])


def _at_label(rows: Tensor, labels: Tensor, values: Tensor) -> Tensor:
    return rows.scatter(-1, labels[:, None], values[:, None])
