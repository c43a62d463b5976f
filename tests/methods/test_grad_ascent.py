"""Gradient ascent by hand."""

import pytest
import torch
from napkin import a_pass

from expunge.maths.passes import loss_of
from expunge.methods.grad_ascent import grad_ascent


def test_one_token_of_four_at_zero_logits():  # loss -log 4; gradient of the logits (.75, -.25, -.25, -.25)
    z = torch.zeros(1, 4, dtype=torch.float64, requires_grad=True)
    loss = loss_of(grad_ascent().terms[0], a_pass(logits=z, labels=[0]))
    loss.backward()
    assert loss.item() == pytest.approx(-1.386294, abs=1e-6)
    assert z.grad[0].tolist() == pytest.approx([0.75, -0.25, -0.25, -0.25])


def test_two_steps_raise_the_loss_each_time():
    z, seen = torch.zeros(1, 4, dtype=torch.float64, requires_grad=True), []
    for _ in range(3):
        loss = loss_of(grad_ascent().terms[0], a_pass(logits=z, labels=[0]))
        (g,) = torch.autograd.grad(loss, z)
        z = (z - g).detach().requires_grad_()
        seen.append(-loss.item())
    assert seen[0] < seen[1] < seen[2]
