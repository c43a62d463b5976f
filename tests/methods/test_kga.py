"""KGA by hand."""

from math import log

import pytest
import torch
from napkin import a_pass
from torch import tensor

from expunge.core.types import Row
from expunge.engine.change import steps_of
from expunge.engine.plan import Training
from expunge.maths.passes import loss_of
from expunge.methods.kga import gap_teacher, kga, noted

UNIFORM = torch.zeros(1, 2, dtype=torch.float64)
SURE = tensor([[0.9, 0.1]], dtype=torch.float64).log()
FAR = 0.9 * log(1.8) + 0.1 * log(0.2)  # KL(SURE || UNIFORM) = .368064


def gap(now, of_forget, of_new, start):
    """The term on one token of a forget row and one of a new row; loss and gradient."""
    z = now.clone().requires_grad_()
    teacher = gap_teacher((of_forget, of_new, start), tensor([0]))
    term = kga()[-1].terms[0]
    loss = loss_of(term, a_pass(logits=z, labels=[0], teacher=teacher), a_pass(logits=now, labels=[0], teacher=teacher, stream="mismatch"))
    loss.backward()
    return loss.item(), z.grad[0].tolist()


def test_all_alike_is_no_gap():  # A_f = A_n, model = start, forget = new
    assert gap(UNIFORM, SURE, SURE, UNIFORM)[0] == pytest.approx(0.0, abs=1e-12)


def test_a_model_still_too_near_is_driven_away():  # it says what A_f says; new data are .368 away: loss .368, gradient -(p - q) = 0 there
    assert gap(SURE, SURE, SURE, UNIFORM)[0] == pytest.approx(FAR)
    loss, gradient = gap(tensor([[0.8, 0.2]], dtype=torch.float64).log(), SURE, SURE, UNIFORM)
    assert loss == pytest.approx(FAR - (0.9 * log(9 / 8) + 0.1 * log(0.5)))
    assert gradient == pytest.approx([0.1, -0.1])  # -(p - q): descent lowers the first word further


def test_overshoot_flips_the_sign():
    loss, gradient = gap(UNIFORM, SURE, UNIFORM, UNIFORM)  # new data are 0 away, the model .368
    assert loss == pytest.approx(FAR)
    assert gradient == pytest.approx([-0.4, 0.4])  # p - q


def test_the_constant_is_of_the_new_model_against_the_start():  # not the other way round, and over words a sum, not a mean
    assert gap_teacher((UNIFORM, SURE, UNIFORM), tensor([0]))[0, -1].item() == pytest.approx(FAR)


def test_it_stops_when_the_gap_is_narrow():
    controller = kga(stop_share=0.1)[-1].controller
    state = noted({}, {"gap": 2.0}, 0.0)
    assert not controller.stop({}) and not controller.stop(state)
    assert not controller.stop(noted(state, {"gap": 0.3}, 0.5))
    assert controller.stop(noted(state, {"gap": 0.2}, 0.6))


def test_both_copies_see_as_many_rows():  # five mismatched answers to each forget row, and yet no more steps than forget rows give
    rows = lambda role, n: [Row(f"row{i}", role, f"g{i}", "answer", (1, 2), (False, True), 1, False) for i in range(n)]
    streams = {"forget": rows("forget", 4), "mismatch": 5 * rows("mismatch", 4), "retain": rows("retain", 6)}
    counts = [steps_of(stage, streams, Training(batch=2, steps=7, seed=0)) for stage in kga(helper_epochs=3.0)[1:]]
    assert counts == [6, 6, 7]
