"""RMU by hand."""

import pytest
import torch
from napkin import a_pass

from expunge.losses.inputs import loss_of
from expunge.methods.rmu import control, rmu, rmu_forget_term


def test_a_zero_state_costs_c_squared_over_d():
    p = a_pass(hidden={1: torch.zeros(1, 3, 8, dtype=torch.float64)})
    assert loss_of(rmu(layer=1, steering=4.0).terms[0], p).item() == pytest.approx(16 / 8, rel=1e-6)


def test_the_steered_state_costs_nothing_and_the_start_state_is_kept_free():
    u = 6.5 * control(8, 0, torch.zeros(1, dtype=torch.float64))
    h = u.expand(1, 2, 8)
    forget, retain = rmu(layer=1).terms
    assert loss_of(forget, a_pass(hidden={1: h})).item() == pytest.approx(0, abs=1e-9)
    assert loss_of(retain, a_pass(hidden={1: h}, start_hidden={1: h})).item() == 0.0


# h = (1, 3), target (0, 2): mean of 1 and 1; retain (2, 0) from (0, 0): mean 2, times 5
def test_two_numbers_on_a_napkin():
    got = rmu_forget_term(
        a_pass(hidden={0: [[[1.0, 3.0]]]}),
        layer=0,
        steering=2.0,
        direction=torch.tensor([0.0, 1.0]).double(),
    )
    assert got.tolist() == [1.0]
    kept = rmu(layer=0, retain_weight=5.0).terms[1]
    assert (
        loss_of(kept, a_pass(hidden={0: [[[2.0, 0.0]]]}, start_hidden={0: [[[0.0, 0.0]]]})).item()
        == 10.0
    )


def test_the_direction_is_the_seeds_alone():
    like = torch.zeros(1)
    torch.manual_seed(1)
    first = control(16, 3, like)
    torch.manual_seed(2)
    assert torch.equal(first, control(16, 3, like)) and not torch.equal(first, control(16, 4, like))
    assert first.norm().item() == pytest.approx(1) and (first >= 0).all()
