"""Likelihood links: the gradient of every one is that of ``-sg(w) NLL``, with the weight that its
paper states.
"""

import math

import pytest
import torch
from napkin import a_pass
from torch import tensor

from expunge.losses.inputs import loss_of, mean, total
from expunge.losses.reweighting import ascent_values, balance, fixed, power
from expunge.losses.terms import ascent
from expunge.methods.eraser import eraser_term
from expunge.methods.flat import flat_values
from expunge.methods.loreun import loreun_term
from expunge.methods.npo import npo_term
from expunge.methods.satimp import satimp_term
from expunge.methods.simnpo import simnpo_term
from expunge.methods.unlikelihood import unlikely_rows
from expunge.methods.wtnpo import wtnpo_term

P = [[0.5, 0.2, 0.9, 0.35], [0.6, 0.05, 0.3, 0.8]]
START = [[0.4, 0.6, 0.3, 0.5], [0.9, 0.2, 0.25, 0.8]]
MASK = [[True, True, True, True], [True, True, False, False]]
B = 0.7
TEMPLATE = tensor([0.3, 0.6], dtype=torch.float64)


def spread(per_row, like):
    """One weight per row -> one per token: [B] -> [B, T]."""
    return per_row[:, None].expand_as(like)


def lengths(p):
    return p.mask.sum(-1)


def flat_slope(divergence):
    """d/dP_f of each variant times dP_f/dlog p = p/T: minus the derivative by NLL."""
    slope = {
        "tv": lambda f: 1 / torch.cosh(f) ** 2 / 2,
        "kl": lambda f: (f - 1).exp(),
        "pearson": lambda f: 1 + f / 2,
        "js": torch.sigmoid,
    }
    return lambda p: (
        p.logp.exp() * spread(slope[divergence](mean(p.logp.exp(), p.mask)) / lengths(p), p.logp)
    )


def unlikelihood_of(p):
    """The two-word row (log p, log(1 - p)) of each token, whose label is the first."""
    rows = torch.stack([p.logp, torch.log1p(-p.logp.exp())], -1)
    values = unlikely_rows(
        rows.flatten(0, 1), torch.zeros(rows.shape[0] * rows.shape[1], dtype=torch.long), -15.0
    )
    return total(values.view_as(p.logp), p.mask)


def flat_of(divergence):
    return lambda p: flat_values(TEMPLATE, mean(p.logp.exp(), p.mask), divergence)


# name, Phi of a LossInputs: [B], weight w = -dPhi/dNLL of its tokens: [B, T]
LINKS = [
    ("ga", ascent(reduction="seqsum"), lambda p: torch.ones_like(p.logp)),
    (
        "npo",
        lambda p: npo_term(p, beta=B),
        lambda p: spread(2 * torch.sigmoid(B * total(p.logp - p.start_logp, p.mask)), p.logp),
    ),
    (
        "simnpo",
        lambda p: simnpo_term(p, beta=B, delta=0.3),
        lambda p: spread(2 * torch.sigmoid(B * (mean(p.logp, p.mask) + 0.3)) / lengths(p), p.logp),
    ),
    (
        "tnpo",
        lambda p: wtnpo_term(p, beta=4.0, alpha=0.0, epsilon=0.0),
        lambda p: 2 * p.logp.exp() ** 4 / (p.logp.exp() ** 4 + p.start_logp.exp() ** 4),
    ),
    (
        "wtnpo with the code's epsilon",
        lambda p: wtnpo_term(p, beta=4.0, alpha=1.5, epsilon=1e-5),
        lambda p: 2 * p.logp.exp() ** 5.5 / (p.logp.exp() ** 4 + p.start_logp.exp() ** 4 + 1e-5),
    ),
    ("wga", lambda p: satimp_term(p, beta1=B, beta2=0.0), lambda p: p.logp.exp() ** B),
    (
        "satimp",
        lambda p: satimp_term(p, beta1=5.0, beta2=0.1),
        lambda p: p.logp.exp() ** 5 * (1 - p.logp.exp()) ** 0.1,
    ),
    (
        "loreun",
        lambda p: loreun_term(p, tau=B, per="answer", loss="dynamic"),
        lambda p: spread((mean(p.logp, p.mask) / B).exp(), p.logp),
    ),
    (
        "loreun per token",
        lambda p: loreun_term(p, tau=B, per="token", loss="dynamic"),
        lambda p: p.logp.exp() ** (1 / B),
    ),
    (
        "loreun static",
        lambda p: loreun_term(p, tau=B, per="answer", loss="static"),
        lambda p: spread((mean(p.start_logp, p.mask) / B).exp(), p.logp),
    ),
    ("unlikelihood", unlikelihood_of, lambda p: p.logp.exp() / (1 - p.logp.exp())),
    (
        "eraser",
        lambda p: eraser_term(p, gamma=1.0),
        lambda p: spread((-mean(p.logp, p.mask) < 1.0) / lengths(p), p.logp),
    ),
    *((f"flat {d}", flat_of(d), flat_slope(d)) for d in ("tv", "kl", "js", "pearson")),
]


@pytest.mark.parametrize("phi,weight", [x[1:] for x in LINKS], ids=[x[0] for x in LINKS])
def test_every_link_is_weighted_gradient_ascent(phi, weight):
    found = []
    for sides in ("link", "weight"):
        p = a_pass(p=P, start=START, mask=MASK)
        p.logp.requires_grad_()
        value = phi(p) if sides == "link" else total(weight(p).detach() * p.logp, p.mask)
        assert value.shape == (2,)
        found.append(torch.autograd.grad(value.sum(), p.logp)[0])
    assert found[1].abs().max() > 0
    torch.testing.assert_close(*found)


def test_a_fixed_weight_moves_and_lets_no_gradient_through():
    x = tensor([0.5], requires_grad=True)
    assert fixed(x).item() == 0.5 and not fixed(x).requires_grad


# p = e^-1.2, p0 = e^-.7, b = 4: sigma(-4 x .5); with 1e-5 in the denominator the code's number
def test_weights_on_a_napkin():
    logp, start = tensor([-1.2], dtype=torch.float64), tensor([-0.7], dtype=torch.float64)
    assert 2 * balance(logp, start, 4.0).item() == pytest.approx(0.238406, abs=1e-6)
    assert 2 * balance(logp, start, 4.0, 1e-5).item() == pytest.approx(0.238371, abs=1e-6)
    assert power(tensor([0.5]).log(), 5.0, 1.0).item() == pytest.approx(0.5**6)
    assert power(tensor([0.0, -1e4]), 0.0).tolist() == [1.0, 1.0]


def test_one_weight_per_answer_serves_all_its_tokens():
    p = a_pass(p=[0.5, 0.25])
    assert ascent_values(p, tensor([[2.0]]), "tok").item() == pytest.approx(2 * math.log(0.125))
    assert loss_of(ascent(), p).item() == pytest.approx(math.log(0.125) / 2)
