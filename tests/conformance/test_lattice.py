"""Special cases that must coincide: the rows of the lattice that today's methods touch, as
equalities of losses and gradients.
"""

import math

import pytest
import torch
from napkin import a_pass
from small import held, small_subject, streams

from expunge.core.stages import Descent
from expunge.losses.objectives import npo_term, simnpo_term
from expunge.losses.terms import ascent, kl
from expunge.methods.ga_kl import ga_kl
from expunge.methods.grad_ascent import grad_ascent
from expunge.methods.grad_diff import grad_diff
from expunge.methods.idk_dpo import idk_dpo
from expunge.methods.npo import npo
from expunge.methods.undial import undial
from expunge.methods.whp import whp
from expunge.training.sampler import Training, denominators, plan
from expunge.training.teachers import freeze
from expunge.training.trainer import passes, values_of


def loss_and_gradient(stage, tmp_path, now=1, start=0, reinforced=None):
    """Loss of one batch in float64 and its gradient by parameter."""
    model, frozen_model = small_subject(now).model.double(), small_subject(start).model.double()
    units = plan(stage, streams(), Training(batch=6, steps=1))[0]
    auxiliaries = {"reinforced": small_subject(reinforced)} if reinforced is not None else {}
    for s in auxiliaries.values():
        s.model.double()
    frozen = freeze(
        held(frozen_model), stage, [units], auxiliaries, tmp_path / stage.name, lambda n: None
    )
    found = values_of(stage.terms, units, passes(held(model), stage.terms, units, frozen), frozen)
    counts = denominators(stage.terms, units)
    loss = sum(t.coef * found[t.name] / counts[t.name] for t in stage.terms)
    params = dict(model.named_parameters())
    return loss.item(), dict(
        zip(params, torch.autograd.grad(loss, list(params.values()), allow_unused=True))
    )


def same(a, b, factor=1.0, tolerance=1e-5):
    for name in a:
        torch.testing.assert_close(a[name], factor * b[name], rtol=tolerance, atol=tolerance * 1e-1)


SUM = Descent("sum", (ascent(reduction="seqsum"),))


@pytest.mark.parametrize("beta", [0.1, 1.0, 5.0])
def test_npo_at_the_start_has_the_gradient_of_ascent_and_the_loss_2_ln2_over_beta(tmp_path, beta):
    loss, gradient = loss_and_gradient(npo(beta=beta, retain_weight=0), tmp_path, now=0)
    assert loss == pytest.approx(2 / beta * math.log(2), rel=1e-5)
    same(gradient, loss_and_gradient(SUM, tmp_path, now=0)[1])


def test_npo_with_a_vanishing_beta_is_ascent_everywhere(tmp_path):
    beta = 1e-5
    loss, gradient = loss_and_gradient(npo(beta=beta, retain_weight=0), tmp_path)
    ascended, plain = loss_and_gradient(SUM, tmp_path)
    at_start, _ = loss_and_gradient(SUM, tmp_path, now=0)
    assert loss - 2 / beta * math.log(2) == pytest.approx(ascended - at_start, rel=1e-3, abs=1e-3)
    same(gradient, plain, tolerance=1e-3)


def test_dpo_without_its_winner_is_npo():
    """The winner's reward held at 0: the refusal keeps its start probability."""
    lose = a_pass(p=[0.5, 0.2], start=[0.4, 0.9])
    win = a_pass(p=[0.3], start=[0.3], stream="alternate")
    torch.testing.assert_close(idk_dpo(beta=0.7).terms[0](win, lose), npo_term(lose, beta=0.7))


def test_npo_per_token_against_a_margin_is_simnpo():
    """S -> S/T and S_start -> delta (a margin of one token's start probability)."""
    p, delta = [0.5, 0.2, 0.9], 0.3
    mean = math.exp(sum(map(math.log, p)) / 3)
    one = npo_term(a_pass(p=[mean], start=[math.exp(-delta)]), beta=2.5)
    torch.testing.assert_close(simnpo_term(a_pass(p=p), beta=2.5, delta=delta), one)


def test_grad_diff_on_equal_batches_is_nothing():
    p = a_pass(p=[[0.5, 0.2], [0.9, 0.4]])
    assert sum(t.coef * t(p).sum() for t in grad_diff().terms).item() == 0.0


def test_grad_diff_without_retain_is_ascent(tmp_path):
    a, b = (loss_and_gradient(m, tmp_path) for m in (grad_diff(retain_weight=0), grad_ascent()))
    assert a[0] == b[0]
    same(*(x[1] for x in (a, b)))


@pytest.mark.parametrize(
    "stage", [Descent("kl", (kl(),)), undial(beta=0.0)], ids=["kl", "undial beta 0"]
)
def test_soft_targets_at_the_start_have_no_gradient(tmp_path, stage):
    _, gradient = loss_and_gradient(stage, tmp_path, now=0)
    assert max(g.abs().max().item() for g in gradient.values()) < 1e-6


def test_whp_without_reinforcement_has_no_gradient_if_soft_and_sharpens_if_not(tmp_path):
    """alpha 0, or a reinforced model equal to the start: the soft target is the start's own row;
    the arg-max is not.
    """
    for arguments in ({"alpha": 0.0, "reinforced": 3}, {"alpha": 5.0, "reinforced": 0}):
        other = arguments.pop("reinforced")
        soft, hard = (
            loss_and_gradient(whp(targets=t, **arguments)[1], tmp_path, now=0, reinforced=other)[1]
            for t in ("soft", "argmax")
        )
        assert max(g.abs().max().item() for g in soft.values()) < 1e-6
        assert max(g.abs().max().item() for g in hard.values()) > 1e-3


def test_ga_kl_without_its_leash_is_ascent(tmp_path):
    same(
        loss_and_gradient(ga_kl(retain_weight=0), tmp_path)[1],
        loss_and_gradient(grad_ascent(), tmp_path)[1],
    )
