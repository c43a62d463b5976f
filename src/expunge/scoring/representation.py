"""Layers by name: a number below or at 1 with a point is a fraction of the depth, a whole number
counts blocks from 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def layer_of(which: float, depth: int) -> int:
    """The block that a number names: -1 and 1.0 are the last.

    Args:
        which: An index, or a share of the depth.
        depth: How many blocks there are.

    Returns:
        The index of the block.

    Raises:
        ValueError: There is no such block.

    >>> layer_of(0.5, 9), layer_of(-1, 9), layer_of(1.0, 9), layer_of(1, 9)
    (4, 8, 8, 1)
    """
    if isinstance(which, float) and 0 <= which <= 1:
        return round(which * (depth - 1))
    if float(which) != int(which) or not -depth <= which < depth:
        raise ValueError(
            f"layer {which} of a model of {depth} blocks: give a fraction of the depth (0.0 to "
            f"1.0) or a block from 0 on"
        )
    return int(which) % depth


def layers_of(which: Sequence[float], depth: int) -> list[int]:
    """The blocks that numbers name, each once, in order.

    Args:
        which: Indices or shares of the depth; none for every block.
        depth: How many blocks there are.

    Returns:
        The indices of the blocks.
    """
    if len(which):
        return sorted({layer_of(w, depth) for w in which})
    return list(range(depth))


def share_lost(mine: np.ndarray, gold: np.ndarray, threshold: float) -> float | None:
    """Of what is lost with gold's states, the share that is lost with the model's.

    sum_l clip(u_l, 0, g_l) / sum_l g_l.

    Args:
        mine: What is lost as each layer puts out the model's states: [layers], nats.
        gold: The same for gold's states.
        threshold: Layers at which gold lacks no more than this are left out.

    Returns:
        From 0 to 1 (not a number if one of the values is none), or None if no layer is left.
    """
    # a value that is not a number counts, so that it is refused and not passed over
    lacks = ~(gold <= threshold)
    if not lacks.any():
        return None
    return float(np.clip(mine[lacks], 0, gold[lacks]).sum() / gold[lacks].sum())


def linear_cka(x: np.ndarray, y: np.ndarray) -> float:
    """Linear centered kernel alignment of the states of the same rows.

    |X'Y|^2 / (|X'X| |Y'Y|), Frobenius norms, columns centered (Kornblith et al. 2019, equation 3
    with the linear kernel).

    Args:
        x: States, [n, D].
        y: States, [n, E].

    Returns:
        From 0 to 1, 1 = equal up to rotation and scale; NaN where one side does not vary.
    """
    return gram_cka(gram(x), gram(y), np.ones(len(x)))


def gram(x: np.ndarray) -> np.ndarray:
    """The inner products of rows, which are centered first.

    Centering first keeps rounding errors small.

    Args:
        x: Rows, [n, D].

    Returns:
        Inner products, [n, n].
    """
    x = np.asarray(x, dtype=np.float64)
    x = x - x.mean(0)
    return x @ x.T


def gram_cka(k: np.ndarray, other: np.ndarray, weights: np.ndarray) -> float:
    """Linear CKA from the inner products of both sides.

    Args:
        k: Inner products of the one side, [n, n].
        other: Those of the other side, [n, n].
        weights: How often each row counts, [n].

    Returns:
        From 0 to 1; NaN where one side does not vary.
    """
    scale = np.sqrt(weights)
    a, b = (scale[:, None] * _centered(g, weights / weights.sum()) * scale for g in (k, other))
    norms = np.linalg.norm(a) * np.linalg.norm(b)
    if norms > 0:
        return float((a * b).sum() / norms)
    return float("nan")


def _centered(k: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Inner products once the mean (rows counted by ``share``) is taken away."""
    mean = k @ share
    return k - mean - mean[:, None] + share @ mean
