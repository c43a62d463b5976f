"""Leak@k: every choice of k samples counted, no bias on small distributions, bounds that hold."""

from itertools import combinations, product
from math import comb

import numpy as np
import pytest

from expunge.scoring.bounds import mean_at_most
from expunge.scoring.leak import best_of, best_of_at_most, best_of_weights


@pytest.mark.parametrize("k", range(1, 8))
def test_it_is_the_mean_over_every_choice_of_k(k):
    scores = np.array([0.2, 0.9, 0.0, 0.9, 0.5, 0.1, 0.35])
    every = [max(some) for some in combinations(scores, k)]
    assert best_of(scores, k) == pytest.approx(np.mean(every))
    assert best_of_weights(7, k).sum() == pytest.approx(1)


@pytest.mark.parametrize(("n", "k"), [(1, 1), (3, 1), (3, 2), (4, 3), (5, 2), (5, 5)])
def test_it_has_no_bias(n, k):
    """Every outcome of n samples of a three-valued score, weighted by how likely it is."""
    values, chances = (0.0, 0.4, 1.0), (0.5, 0.3, 0.2)
    mean = 0.0
    for outcome in product(range(3), repeat=n):
        likely = np.prod([chances[i] for i in outcome])
        mean += likely * best_of(np.array([values[i] for i in outcome]), k)
    # P(max <= .4) = .8^k, P(max = 0) = .5^k
    assert mean == pytest.approx(0.4 * (0.8**k - 0.5**k) + (1 - 0.8**k))


@pytest.mark.parametrize(
    ("leaks", "n", "k"), [(0, 8, 4), (1, 8, 4), (3, 8, 4), (5, 8, 4), (8, 8, 4)]
)
def test_of_leaks_it_is_the_chance_that_one_of_k_leaks(leaks, n, k):
    scores = np.array([1.0] * leaks + [0.0] * (n - leaks))
    assert best_of(scores, k) == pytest.approx(1 - comb(n - leaks, k) / comb(n, k))


def test_its_ends():
    scores = np.array([0.3, 0.8, 0.1])
    assert best_of(scores, 1) == pytest.approx(scores.mean())
    assert best_of(scores, 3) == pytest.approx(0.8)
    many = np.tile([0.0, 1.0], 5000)
    assert best_of(many, 3) == pytest.approx(1 - 0.5**3, abs=1e-3)  # C(10000, 3) would not do


@pytest.mark.parametrize("k", [0, 4])
def test_k_lies_between_one_and_n(k):
    with pytest.raises(ValueError, match="3 samples"):
        best_of(np.zeros(3), k)


def test_the_bound_of_one_sample_is_that_on_the_mean():
    x = np.array([0.1, 0.4, 0.4, 0.8])
    assert best_of_at_most(x, 1, 0.05) == pytest.approx(mean_at_most(x, 0.05))
    assert best_of_at_most(np.array([]), 4) == 1
    with pytest.raises(ValueError, match="at least one"):
        best_of_at_most(x, 0)


@pytest.mark.parametrize("k", [1, 4, 16])
def test_the_bound_holds_as_often_as_it_says(k):
    """Of a uniform score E[max of k] = k / (k + 1)."""
    rng = np.random.default_rng(0)
    held = [best_of_at_most(rng.random(32), k, 0.05) >= k / (k + 1) for _ in range(2000)]
    assert np.mean(held) >= 0.95
    grown = [best_of_at_most(np.linspace(0, 0.5, 64), k) for k in (1, 2, 8)]
    assert grown == sorted(grown)
