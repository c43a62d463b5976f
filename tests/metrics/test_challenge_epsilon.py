"""The challenge's epsilon: against plain loops over thresholds and bins, the same models at 0,
sides fully apart at the ceiling.
"""

import math
from functools import partial

import numpy as np
import pytest
import two_sides

from expunge.core.results import Records
from expunge.metrics.challenge_epsilon import challenge_epsilon
from expunge.scoring.shadow_models import epsilon_of, most_epsilon, told_apart

DELTA = 1e-5


judged = partial(two_sides.judged, challenge_epsilon)


def attack(positive, negative, says):
    """The epsilon of one attack, None where one of its two rates is 0."""
    fpr = sum(says(v) for v in negative) / len(negative)
    fnr = sum(not says(v) for v in positive) / len(positive)
    if fpr == fnr == 0:
        return math.inf
    if fpr == 0 or fnr == 0:
        return None
    tries = [(1 - DELTA - a, b) for a, b in ((fpr, fnr), (fnr, fpr))]
    return max([0.0, *(math.log(a / b) for a, b in tries if a > 0)])


def by_loop(x, y, step=0.02):
    """Every threshold and every pair of them on a grid, as the challenge has it."""
    above, below = (x, y) if np.median(x) > np.median(y) else (y, x)
    slim, wide = (x, y) if np.ptp(x) <= np.ptp(y) else (y, x)
    found = [
        attack(above, below, lambda v, t=t: v >= t)
        for t in np.arange(min(*x, *y), max(*x, *y), step)
    ]
    for right in np.arange(max(slim) - 2, max(slim) + 2 + 1e-9, step):
        for left in np.arange(right - np.ptp(slim) - 2, right - np.ptp(slim) + 2 + 1e-9, step):
            found.append(attack(slim, wide, lambda v, a=left, b=right: a <= v <= b))
    return max((e for e in found if e is not None), default=0.0)


def apart_by(rng, n, least=0.06):
    """2 n values, no two nearer than the grid can tell."""
    while True:
        v = rng.normal(0, 2, 2 * n)
        if np.diff(np.sort(v)).min() > least:
            return v[:n], v[n:]


def test_against_a_plain_loop_over_a_grid():
    rng = np.random.default_rng(4)
    for n, shift, scale in ((4, 0, 1), (6, 1, 1), (5, 0, 2.5)):
        x, y = apart_by(rng, n)
        x = x * scale + shift
        assert told_apart(x, y, DELTA) == pytest.approx(by_loop(x, y), abs=1e-9)


def test_rates_by_hand():
    found = epsilon_of(np.array([0.1, 0.0, 0.0, 0.5, 1.0]), np.array([0.2, 0.0, 0.3, 0.5, 0.5]))
    assert found[:2].tolist() == [pytest.approx(math.log(8)), math.inf]
    assert math.isnan(found[2]) and found[3:].tolist() == [0, 0]
    assert most_epsilon(512, 512, DELTA) == pytest.approx(math.log(511), abs=0.01)


def test_fully_apart_is_at_the_ceiling_and_scores_nothing(row):
    rng = np.random.default_rng(0)
    m = judged(row, rng.normal(5, 0.3, (6, 8)), rng.normal(-5, 0.3, (6, 8)))
    assert m.value == m.parts["ceiling"] == pytest.approx(math.log(5), abs=1e-3)
    assert (m.parts["apart"], m.parts["score"], m.n, m.groups, m.better) == (1, 0, 8, 2, 0.0)


def test_the_same_models_are_at_0_and_score_1(row):
    x = np.random.default_rng(0).normal(0, 1, (6, 8))
    m = judged(row, x, x)
    assert (m.value, m.parts["score"], m.parts["apart"]) == (0, 1, 0)


def test_models_of_one_kind_are_at_the_floor_and_others_above(row):
    rng = np.random.default_rng(1)
    side = lambda shift: rng.normal(shift, 1, (24, 16))
    alike, unlike = judged(row, side(0), side(0)), judged(row, side(2.5), side(0))
    assert abs(alike.value - alike.parts["floor"]) < 0.5 < unlike.value - alike.value
    assert (
        alike.value < alike.parts["ceiling"] * 0.7 and alike.parts["score"] > unlike.parts["score"]
    )


def test_a_side_without_spread_is_told_by_that(row):
    golds = np.random.default_rng(0).normal(0, 1, (6, 4))
    still = np.repeat(golds[:1], 6, 0)  # in the middle of the golds, but always the same
    assert judged(row, still, golds).parts["apart"] == 1
    assert judged(row, still, still).value == 0


def test_score_by_a_loop_over_bins(row):
    rng = np.random.default_rng(2)
    x, y = rng.normal(0.8, 1, (9, 12)), rng.normal(0, 1, (9, 12))
    points, start, bins = 1.0, 0.0, []
    while start + 0.5 <= math.ceil(math.log(8)):
        bins.append((start + 0.5, points))
        points, start = points / 2, start + 0.5
    total = 0.0
    for i in range(12):
        e = told_apart(x[:, i], y[:, i], DELTA)
        total += next((p for end, p in bins if e < end), 0.0)
    assert judged(row, x, y).parts["score"] == pytest.approx(total / 12)


def test_what_is_missing_is_said(row):
    x, y = (np.random.default_rng(i).normal(0, 1, (4, 8)) for i in range(2))
    assert (
        "three models" in judged(row, x[:2], y).reason
        and "--shadow" in judged(row, x[:2], y).reason
    )
    assert (
        "--gold" in judged(row, x, y[:2]).reason
        and "--gold" in challenge_epsilon(two_sides.models(row, x[:1], "unlearned")).reason
    )
    assert "--forget" in challenge_epsilon(Records()).reason
    assert "no finite value" in judged(row, x * np.nan, y).reason
    assert "floor" not in judged(row, x, y).parts
