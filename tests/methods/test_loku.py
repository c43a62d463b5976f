"""LoKU by hand; where its adapter begins is tests/training/test_callbacks.py."""

import pytest
import torch
from napkin import a_pass

from expunge.losses.inputs import loss_of
from expunge.methods.loku import loku


def step(*p):
    """Loss and gradient by the logits of a row with probabilities ``p`` and label 0."""
    z = torch.tensor([p], dtype=torch.float64).log().requires_grad_()
    loss = loss_of(loku().terms[0], a_pass(logits=z, labels=[0]))
    loss.backward()
    return loss.item(), z.grad[0].tolist()


def test_four_words():  # 1 + .6 - .2; .6 (.4 + .2), -.2 (.8 + .6), .15 (.2 - .6), .05 (.2 - .6)
    loss, gradient = step(0.6, 0.2, 0.15, 0.05)
    assert loss == pytest.approx(1.4) and gradient == pytest.approx([0.36, -0.28, -0.06, -0.02])


def test_even_odds_are_1_and_the_ends_0_and_2():
    assert step(0.25, 0.25, 0.25, 0.25)[0] == pytest.approx(1.0)
    assert step(1 - 1e-12, 1e-12)[0] == pytest.approx(2.0) and step(1e-12, 1 - 1e-12)[
        0
    ] == pytest.approx(0.0, abs=1e-9)


def test_logits_between_0_and_1_are_still_logits():
    """The code's softmax is skipped for such rows."""
    loss = loss_of(loku().terms[0], a_pass(logits=[[0.6, 0.3, 0.1]], labels=[0])).item()
    p = torch.tensor([0.6, 0.3, 0.1]).softmax(0)
    assert loss == pytest.approx((1 + p[0] - p[1]).item())


def test_its_adapter():
    assert (loku().adapter.rank, loku().adapter.alpha, loku().adapter.init) == (16, 32.0, "fila")
