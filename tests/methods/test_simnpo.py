"""SimNPO by hand."""

from math import exp

import pytest
from napkin import a_pass

from expunge.methods.simnpo import simnpo


@pytest.mark.parametrize("nll,beta,value", [(2.0, 2.5, 0.00537228), (0.0, 4.5, 0.308065)])
def test_known_values(nll, beta, value):
    got = simnpo(beta=beta).terms[0](a_pass(p=[exp(-nll), exp(-nll)])).item()
    assert got == pytest.approx(value, rel=1e-5)


def test_repeating_the_tokens_changes_nothing():
    once, twice = (simnpo().terms[0](a_pass(p=p)) for p in ([0.5, 0.1], [0.5, 0.1, 0.5, 0.1]))
    assert once.item() == pytest.approx(twice.item())


def test_delta_moves_the_bend():  # with delta = NLL/T the sigmoid stands at one half: (2/beta) ln 2
    assert simnpo(beta=2.0, delta=0.5).terms[0](a_pass(p=[exp(-0.5)])).item() == pytest.approx(
        0.693147, abs=1e-6
    )
