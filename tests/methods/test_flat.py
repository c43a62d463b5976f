"""FLAT by hand."""

import pytest
from napkin import a_pass

from expunge.losses.inputs import loss_of
from expunge.methods.flat import flat

DIVERGENCES = ["tv", "kl", "pearson", "js"]


def loss(template, forget, divergence, **kwargs):
    term = flat(divergence=divergence).terms[0]
    return loss_of(term, a_pass(p=template, stream="alternate"), a_pass(p=forget, **kwargs)).item()


@pytest.mark.parametrize(
    "divergence,value", zip(DIVERGENCES, [0.122868, 0.370320, 0.390000, 0.205549])
)
def test_at_three_and_six_tenths(divergence, value):  # averages of (.2, .4) and of (.6)
    assert loss([0.2, 0.4], [0.6], divergence) == pytest.approx(value, abs=1e-6)


def test_total_variation_of_equal_answers_is_nothing():
    assert loss([0.4], [0.4], "tv") == 0.0


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_a_likelier_refusal_lowers_and_a_likelier_answer_raises_it(divergence):
    assert (
        loss([0.4], [0.6], divergence)
        < loss([0.3], [0.6], divergence)
        < loss([0.3], [0.7], divergence)
    )


def test_padding_does_not_dilute_the_average():
    assert loss([0.3], [[0.6, 0.9]], "tv", mask=[[True, False]]) == pytest.approx(
        0.122868, abs=1e-6
    )
