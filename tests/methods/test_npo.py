"""NPO by hand."""

from math import exp, log

import pytest
from napkin import a_pass
from torch import tensor
from torch.testing import assert_close

from expunge.methods.npo import npo


def test_two_tokens_on_a_napkin():  # pi = .5 x .2, pi_start = .5 x .8, beta 1: 2 log(1 + 1/4)
    assert_close(
        npo(beta=1.0).terms[0](a_pass(p=[0.5, 0.2], start=[0.5, 0.8])),
        tensor([2 * log(1.25)]).double(),
    )


@pytest.mark.parametrize("d,value", [(0, 13.862944), (10, 6.265233), (-10, 26.265234)])
def test_at_three_distances_from_the_start(d, value):  # D = NLL - NLL_start in nats, beta .1
    got = npo(beta=0.1).terms[0](a_pass(p=[exp(-20.0 - d)], start=[exp(-20.0)]))
    assert got.item() == pytest.approx(value, abs=1e-5)
