"""Unlikelihood by hand."""

import pytest
import torch
from napkin import a_pass

from expunge.losses.inputs import loss_of
from expunge.methods.unlikelihood import unlikelihood


def loss(logits, **arguments):
    return loss_of(
        unlikelihood(**arguments).terms[0], a_pass(logits=logits, labels=[0] * len(logits))
    )


def row(*p):
    return torch.tensor([p], dtype=torch.float64).log()


def test_one_token():  # -ln .4; gradient of -NLL's times .6/.4
    z = row(0.6, 0.2, 0.15, 0.05).requires_grad_()
    value = loss(z)
    value.backward()
    assert value.item() == pytest.approx(0.916291, abs=1e-6)
    assert z.grad[0].tolist() == pytest.approx([1.5 * 0.4, -1.5 * 0.2, -1.5 * 0.15, -1.5 * 0.05])


def test_it_goes_to_nothing_as_the_token_is_forgotten_and_stays_finite_as_it_is_certain():
    assert 0 < loss(row(1e-6, 1 - 1e-6)).item() < 1e-5
    # 1 - p rounds to 0 in float32
    assert loss(torch.tensor([[60.0, 0.0]])).item() == pytest.approx(60.0)


def test_tokens_under_the_threshold_count_nothing_and_stay_in_the_mean():
    two = torch.cat([row(0.6, 0.4), row(1e-3, 1 - 1e-3)])
    assert loss(two, threshold=-5.0).item() == pytest.approx(0.916291 / 2, abs=1e-6)
    assert loss(two).item() > 0.916291 / 2 + 4e-4
