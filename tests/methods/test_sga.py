"""SGA by hand."""

from math import log

import pytest
import torch
from napkin import a_pass
from torch import tensor

from expunge.losses.inputs import loss_of
from expunge.losses.terms import ascent
from expunge.methods._selective import memorized
from expunge.methods.sga import sga

Z = tensor([[2.0, 0.0, 0.0], [0.0, 3.0, 0.0], [1.0, 0.0, 0.5]]).double()  # first choices 0, 1, 0


def values(labels, threshold):
    return loss_of(sga(threshold=threshold).terms[0], a_pass(logits=Z, labels=labels)).item()


def test_share_of_first_choices():
    assert memorized(a_pass(logits=Z, labels=[0, 1, 2])).tolist() == [pytest.approx(2 / 3)]


def test_rows_below_the_threshold_are_left_alone():
    p = a_pass(logits=Z, labels=[0, 1, 2])
    assert (
        values([0, 1, 2], 0.6) == pytest.approx(float(p.logp.mean()))
        and values([0, 1, 2], 0.7) == 0.0
    )


def test_threshold_zero_is_gradient_ascent_on_everything():
    p = a_pass(logits=Z, labels=[1, 0, 2])
    assert values([1, 0, 2], 0.0) == pytest.approx(loss_of(ascent(reduction="seqmean"), p).item())


def test_the_choice_is_made_anew_when_the_weights_have_moved():
    z = torch.tensor([[log(0.6), log(0.4)]], dtype=torch.float64, requires_grad=True)
    for expected in (True, False):
        loss = loss_of(sga(threshold=1.0).terms[0], a_pass(logits=z, labels=[0]))
        (grad,) = torch.autograd.grad(loss, z)
        assert bool(grad.abs().sum() > 0) is expected
        z = (z - 1.0 * grad).detach().requires_grad_()


def test_a_retain_term_is_added_beside_the_ascent():
    assert [(t.streams, t.coef) for t in sga(retain_weight=2.0).terms] == [
        (("forget",), 1.0),
        (("retain",), 2.0),
    ]
