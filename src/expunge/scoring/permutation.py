"""Permutation of whole groups: a two-sample Kolmogorov-Smirnov test that holds its level where rows
of a group are alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np

from expunge.scoring.bootstrap import BLOCK, Labels, group_codes

SWAPS = 10_000
EVERY = 12  # up to so many groups every swap is tried: 2^12 of them


def ks_pvalue_by_groups(
    x: np.ndarray, labels: Labels, y: np.ndarray, others: Labels, *, seed: int = 0
) -> tuple[float, float]:
    """A permutation test of the Kolmogorov-Smirnov distance that exchanges whole groups.

    Where both sides have the same groups (two models on one set of rows) each group keeps or swaps
    its two sides: exact if, without a difference between the models, a group's rows of the one
    could as well be the other's, however alike the rows of a group are and however alike the two
    sides. Otherwise the groups of both sides are assigned anew, as many to each side as it had. Up
    to ``EVERY`` groups of one set every swap is tried, else ``SWAPS`` random ones and the observed
    one.

    Args:
        x: The values of the one side, [n].
        labels: Their groups.
        y: The values of the other side, [m].
        others: Their groups.
        seed: The seed of the random exchanges.

    Returns:
        The p-value, and the smallest that so many groups allow.
    """
    (g, g_names), (h, h_names) = group_codes(labels), group_codes(others)
    paired = set(g_names) == set(h_names)
    if paired:
        place = {name: i for i, name in enumerate(g_names)}
        h = np.array([place[name] for name in np.asarray(others).tolist()])
    points = np.unique(np.concatenate([x, y]))
    below = _below(x, g, len(g_names), points), _below(y, h, len(h_names), points)
    if paired:
        tables = below
        first = np.ones((1, len(g_names)))
    else:
        tables = (np.concatenate(below), np.zeros((len(g_names) + len(h_names), len(points))))
        first = np.repeat([[1.0, 0.0]], [len(g_names), len(h_names)], axis=1)
    there = float(_distances(first, tables, paired)[0])
    reached = tried = 0
    for sides in _dealt(first[0], paired, len(points), seed):
        reached += int((_distances(sides, tables, paired) >= there - 1e-12).sum())
        tried += len(sides)
    if paired and len(g_names) <= EVERY:
        return reached / tried, 2 / tried
    return (reached + 1) / (tried + 1), 1 / (tried + 1)


def _below(values: np.ndarray, codes: np.ndarray, n_groups: int, points: np.ndarray) -> np.ndarray:
    """How many rows of each group lie at or below each point: [groups, points]."""
    table = np.zeros((n_groups, len(points)))
    np.add.at(table, (codes, np.searchsorted(points, values)), 1)
    return np.cumsum(table, axis=1)


def _distances(
    sides: np.ndarray, tables: tuple[np.ndarray, np.ndarray], paired: bool
) -> np.ndarray:
    """KS distances of b ways to deal the groups out: ``sides`` [b, groups] is 1 where a group
    stays, 0 where it is on the other side.
    """
    one, other = tables
    if paired:
        here = sides @ one + (1 - sides) @ other
        there = (1 - sides) @ one + sides @ other
    else:
        here = sides @ one
        there = (1 - sides) @ one
    return np.abs(here / here[:, -1:] - there / there[:, -1:]).max(axis=1)


def _dealt(first: np.ndarray, paired: bool, wide: int, seed: int) -> Iterator[np.ndarray]:
    """Blocks of ways to deal the groups out: [b, groups]."""
    groups = len(first)
    step = max(1, BLOCK // max(groups, wide))
    if paired and groups <= EVERY:
        every = np.array(list(product((1.0, 0.0), repeat=groups)))
        for begin in range(0, len(every), step):
            yield every[begin : begin + step]
        return
    rng = np.random.default_rng([seed, groups])
    for begin in range(0, SWAPS, step):
        b = min(step, SWAPS - begin)
        if paired:
            yield rng.integers(0, 2, (b, groups)).astype(np.float64)
        else:
            yield rng.permuted(np.tile(first, (b, 1)), axis=1)
