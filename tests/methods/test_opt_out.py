"""Opt-Out's distance by hand."""

import pytest
import torch
from torch import tensor
from torch.testing import assert_close

from expunge.losses.weight_deltas import Trained
from expunge.losses.weight_distances import directions, distance, sliced_wasserstein
from expunge.methods.opt_out import opt_out

DRAW = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))


def test_one_direction_on_a_napkin():  # along (1, 0): {0, 3} against {1, 5}: 1 + 4
    one, other = tensor([[3.0, 9.0], [0.0, 9.0]]), tensor([[1.0, 0.0], [5.0, 0.0]])
    assert sliced_wasserstein(one, other, tensor([[1.0], [0.0]])).item() == 5.0


def test_rows_may_change_places_freely():
    along = directions(100, 3, 0, 0, "w")
    assert_close(along.norm(dim=0), torch.ones(100))
    assert sliced_wasserstein(DRAW[[3, 1, 0, 4, 2]], DRAW, along) < 1e-12


def test_a_shift_of_all_rows_costs_n_c2_over_d():  # 5 x .38 / 3 = .633 in expectation
    c = tensor([0.5, 0.3, 0.2])
    assert sliced_wasserstein(
        DRAW + c, DRAW, directions(20000, 3, 0, 0, "w")
    ).item() == pytest.approx(5 * 0.38 / 3, rel=0.02)


@pytest.mark.parametrize("kind,value", [("l2sp", 13.0), ("l1", 5.0)])
def test_plain_distances(kind, value):
    start = {"a": torch.zeros(2, 2), "b": torch.ones(3)}
    now = {"a": tensor([[2.0, 0.0], [0.0, 0.0]]), "b": tensor([1.0, 4.0, 1.0])}
    assert distance(kind)(Trained(now, start)).item() == value


def test_directions_come_from_seed_and_step():
    moved = Trained({"w": DRAW + tensor([1.0, 0.0, 0.0])}, {"w": DRAW}, seed=1, step=2)
    term = next(t for t in opt_out(projections=3).terms if t.name == "distance")
    again = Trained(moved.now, moved.start, seed=1, step=3)
    assert term(moved) == term(moved) != term(again)
    # one row: the mean squared projection, about |c|^2 / d
    vector = Trained({"b": tensor([1.0, 1.0])}, {"b": tensor([0.0, 0.0])})
    assert distance("sliced_wasserstein", 20000)(vector).item() == pytest.approx(1.0, rel=0.05)


def test_general_text_is_read_from_the_world_where_it_has_a_weight():
    kept = [
        (t.streams, t.coef) for t in opt_out(world_weight=0.5).terms if t.name.startswith("nll")
    ]
    assert kept == [(("retain",), 1.0), (("world",), 0.5)]
    assert all("world" not in t.streams for t in opt_out().terms)
