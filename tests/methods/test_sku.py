"""SKU by hand."""

from math import log

import torch
from napkin import a_pass, seeing
from torch import tensor
from torch.testing import assert_close

from expunge.methods.sku import sku
from expunge.models.delta import Delta


def negated(start, acquired):
    weights = {n: w.clone() for n, w in start.items()}
    Delta(sku()[-1].fn(seeing(start, acquired=acquired))).apply(weights)
    return weights


def test_negation_is_an_involution():
    start, acquired = {"w": tensor([1.0, 2.0])}, {"w": tensor([4.0, 0.0])}
    once = negated(start, acquired)
    assert once["w"].tolist() == [-2.0, 4.0]
    assert torch.equal(negated(start, once)["w"], acquired["w"])
    assert torch.equal(negated(start, start)["w"], start["w"])


def test_the_copy_leaves_the_start_model_up_to_the_cap():
    """KL((1/2, 1/2) || (1/4, 3/4)) = ln 2 - ln 3 / 2 lowers the loss; a token farther than the cap
    has no gradient.
    """
    away = next(t for t in sku(cap=1.0)[-2].terms if t.name == "away/retain")
    p = a_pass(
        logits=tensor([[0.0, log(3)], [0.0, 50.0]]).double().requires_grad_(),
        labels=[0, 1],
        teacher=[[0.0, 0.0], [0.0, 0.0]],
    )
    value = away(p)
    assert_close(value, -tensor([log(2) - log(3) / 2 + 1.0]).double(), atol=1e-6, rtol=1e-6)
    value.sum().backward()
    assert p.logits.grad[0].abs().sum() > 0 and p.logits.grad[1].abs().sum() == 0
