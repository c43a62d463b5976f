"""SatImp and WGA by hand."""

import pytest
import torch
from napkin import a_pass

from expunge import registry
from expunge.losses.inputs import loss_of
from expunge.methods.satimp import satimp


@pytest.mark.parametrize("beta2,value", [(1.0, -0.0108304), (0.1, -0.0202103)])
def test_one_token_at_even_odds(beta2, value):  # .5^5 x .5^beta2 x ln .5
    assert loss_of(satimp(beta2=beta2).terms[0], a_pass(p=[0.5])).item() == pytest.approx(
        value, abs=1e-6
    )


def test_wga_is_a_choice_of_arguments():  # -.5 ln 2
    wga = registry.resolve("methods", "wga")
    assert loss_of(wga.terms[0], a_pass(p=[0.5])).item() == pytest.approx(-0.346574, abs=1e-6)
    assert [t.coef for t in wga.terms] == [1.0, 1.0]


def test_the_weight_of_wga_is_held():
    """Its gradient by the logits is p^beta (e_y - p); through the weight it would vanish at p =
    1/e.
    """
    z = torch.tensor([[0.6, 0.2, 0.15, 0.05]], dtype=torch.float64).log().requires_grad_()
    loss_of(satimp(beta1=1.0, beta2=0.0).terms[0], a_pass(logits=z, labels=[0])).backward()
    assert z.grad[0].tolist() == pytest.approx([0.6 * 0.4, -0.6 * 0.2, -0.6 * 0.15, -0.6 * 0.05])


def test_the_weight_is_nothing_at_both_ends_and_greatest_between():
    p = [0.0001, 0.5, 5 / 6, 0.9, 0.9999]
    weights = [
        loss_of(satimp(beta2=1.0).terms[0], a_pass(p=[x])).item()
        / torch.tensor(x).double().log().item()
        for x in p
    ]
    assert weights[0] < 1e-15 and weights[-1] < 1e-3 and max(weights) == weights[2]
