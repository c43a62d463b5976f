"""Regression fusion of linear maps against what it promises."""

import torch
from torch.testing import assert_close

from expunge.losses.weight_deltas import regression_mean


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_equal_maps_give_that_map_and_one_gives_itself():
    w, inputs = drawn(3, 4), [drawn(9, 4, seed=s) for s in (1, 2)]
    grams = [x.T @ x for x in inputs]
    assert_close(regression_mean(grams, [w, w]), w, rtol=1e-12, atol=1e-12)
    assert_close(regression_mean(grams[:1], [w]), w, rtol=1e-12, atol=1e-12)


def test_it_is_the_least_squares_fit_of_all_outputs():
    maps, inputs = [drawn(3, 4, seed=s) for s in (3, 4)], [drawn(9, 4, seed=s) for s in (1, 2)]
    outputs = torch.cat([x @ w.T for x, w in zip(inputs, maps)])
    best = torch.linalg.lstsq(torch.cat(inputs), outputs).solution.T
    assert_close(regression_mean([x.T @ x for x in inputs], maps), best, rtol=1e-10, atol=1e-10)


def test_inputs_that_do_not_overlap_keep_their_own_maps():
    maps, a, b = [drawn(2, 4, seed=s) for s in (3, 4)], drawn(5, 4, seed=1), drawn(5, 4, seed=2)
    a[:, 2:], b[:, :2] = 0, 0
    made = regression_mean([a.T @ a, b.T @ b], maps)
    assert_close(a @ made.T, a @ maps[0].T)
    assert_close(b @ made.T, b @ maps[1].T)
