"""Token-wise NPO by hand."""

from math import exp, log

import pytest
from napkin import a_pass

from expunge import registry
from expunge.losses.inputs import loss_of
from expunge.methods.wtnpo import wtnpo


def weight(method, p, start):
    """The weight of a single token: the loss over -NLL."""
    return loss_of(method.terms[0], a_pass(p=[p], start=[start])).item() / log(p)


def test_a_token_on_a_napkin():
    tnpo = registry.resolve("methods", "tnpo")
    assert weight(tnpo, exp(-1.2), exp(-0.7)) == pytest.approx(0.238406, abs=1e-6)
    assert weight(wtnpo(alpha=1.5), exp(-1.2), exp(-0.7)) == pytest.approx(
        0.238406 * exp(-1.8), abs=1e-6
    )


@pytest.mark.parametrize("p,coded", [(0.05, 0.556), (0.02, 0.031)])
def test_with_the_codes_epsilon_unlikely_tokens_do_not_start(p, coded):
    assert weight(wtnpo(alpha=0.0), p, p) == pytest.approx(1.0)
    assert weight(wtnpo(alpha=0.0, epsilon=1e-5), p, p) == pytest.approx(coded, abs=1e-3)
