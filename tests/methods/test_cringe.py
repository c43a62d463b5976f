"""CRINGE by hand."""

import pytest
import torch
from napkin import a_pass

from expunge.losses.inputs import loss_of
from expunge.methods.cringe import cringe, rival

Z = [[3.0, 2.0, 0.5, 1.0, -1.0]]


def loss(z, label, **arguments):
    return loss_of(cringe(**arguments).terms[0], a_pass(logits=z, labels=[label])).item()


@pytest.mark.parametrize("gap,value", [(0.0, 0.693147), (2.0, 2.126928)])
def test_two_words(gap, value):
    assert loss([[gap, 0.0]], 0) == pytest.approx(value, abs=1e-6)


def test_the_one_rival_is_the_best_word_that_is_not_the_label():
    assert rival(a_pass(logits=Z, labels=[0]), 1).item() == 2.0
    assert rival(a_pass(logits=Z, labels=[4]), 1).item() == 3.0


@pytest.mark.parametrize(
    "label,k,allowed", [(0, 2, {2.0, 1.0}), (4, 2, {3.0, 2.0}), (1, 2, {3.0, 1.0})]
)
def test_rivals_are_drawn_by_their_softmax_from_the_k_best_others(label, k, allowed):
    """A label outside the k + 1 best leaves the k best, not k + 1 of them."""
    n = 4000
    drawn = rival(a_pass(logits=Z * n, labels=[label] * n), k)
    high, low = max(allowed), min(allowed)
    share = (drawn == high).double().mean().item()
    assert set(drawn.tolist()) == allowed
    assert share == pytest.approx(torch.tensor([high, low]).softmax(0)[0].item(), abs=0.03)


def test_the_draw_belongs_to_the_seed_and_the_row():
    draw = lambda seed: rival(a_pass(logits=Z * 50, labels=[0] * 50, seed=seed), 3).tolist()
    assert draw(1) == draw(1) != draw(2)


@pytest.mark.parametrize(
    "detach,gradient", [(False, [0.731059, -0.731059]), (True, [0.731059, 0.0])]
)
def test_the_rival_rises_unless_it_is_held(detach, gradient):  # sigma(1)
    z = torch.tensor([[1.0, 0.0, -5.0]], dtype=torch.float64, requires_grad=True)
    loss_of(cringe(detach=detach).terms[0], a_pass(logits=z, labels=[0])).backward()
    assert z.grad[0].tolist() == pytest.approx([*gradient, 0.0], abs=1e-6)


def test_of_three_rivals_the_likelier_is_drawn_more_often():
    """Unlike of two, their shares tell the largest of noise added from the largest of noise taken
    away.
    """
    n = 6000
    drawn = rival(a_pass(logits=Z * n, labels=[0] * n), 3)
    shares = [(drawn == logit).double().mean().item() for logit in (2.0, 1.0, 0.5)]
    assert shares == pytest.approx(torch.tensor([2.0, 1.0, 0.5]).softmax(0).tolist(), abs=0.025)
