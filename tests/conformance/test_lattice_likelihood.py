"""Special cases of likelihood and margin methods that must coincide, as equalities of losses and
gradients.
"""

import math
from dataclasses import replace

import pytest
import torch
from conformance.test_lattice import loss_and_gradient, same
from napkin import a_pass

from expunge.core.stages import Descent, Term, stages
from expunge.losses.inputs import loss_of
from expunge.losses.terms import ascent, jsd, kl, nll
from expunge.methods.ce_u import ce_u
from expunge.methods.eraser import eraser
from expunge.methods.flat import flat
from expunge.methods.grad_ascent import grad_ascent
from expunge.methods.grad_diff import grad_diff
from expunge.methods.idk_ap import preservation_term
from expunge.methods.idk_dpo import idk_dpo_term
from expunge.methods.jensun import jensun
from expunge.methods.loreun import loreun
from expunge.methods.npo import npo, npo_term
from expunge.methods.pdu import pdu, pdu_term
from expunge.methods.satimp import satimp
from expunge.methods.wtnpo import wtnpo


def forget_of(method):
    """The last stage with its forget term alone."""
    stage = stages(method)[-1]
    return replace(stage, terms=stage.terms[:1])


def alike(a, b, tmp_path, **where):
    """Two methods' forget terms have one loss and one gradient."""
    (x, dx), (y, dy) = (
        loss_and_gradient(forget_of(m), tmp_path / str(i), **where) for i, m in enumerate((a, b))
    )
    assert x == pytest.approx(y, rel=1e-6)
    same(dx, dy)


@pytest.mark.parametrize(
    "left,right",
    [
        (satimp(beta1=0.0, beta2=0.0), grad_ascent()),
        (satimp(beta1=0.5, beta2=0.0), loreun(tau=2.0, per="token")),
        (loreun(tau=1e9), grad_ascent()),
        (wtnpo(beta=1e-9, alpha=0.7), satimp(beta1=0.7, beta2=0.0)),
    ],
    ids=[
        "satimp(0, 0) = ascent",
        "loreun per token = wga",
        "loreun, tau great = ascent",
        "wtnpo, beta 0 = wga",
    ],
)
def test_weights_that_coincide(left, right, tmp_path):
    alike(left, right, tmp_path)


def test_token_npo_starts_as_ascent(tmp_path):
    alike(wtnpo(alpha=0.0), grad_ascent(), tmp_path, now=0)


def test_token_npo_on_one_token_has_npos_gradient():
    p = a_pass(p=[[0.5], [0.01]], start=[[0.3], [0.02]])
    p.logp.requires_grad_()
    one = torch.autograd.grad(forget_of(wtnpo(beta=0.8, alpha=0.0)).terms[0](p).sum(), p.logp)
    torch.testing.assert_close(one, torch.autograd.grad(npo_term(p, beta=0.8).sum(), p.logp))


def test_and_on_several_it_does_not(tmp_path):
    token, answer = (
        loss_and_gradient(forget_of(m), tmp_path / n)[1]
        for n, m in (("t", wtnpo(beta=0.8, alpha=0.0)), ("n", npo(beta=0.8)))
    )
    flat_of = lambda g: torch.cat([x.flatten() for x in g.values()])
    assert torch.cosine_similarity(flat_of(token), flat_of(answer), 0) < 0.999


def test_eraser_without_a_floor_is_ascent_with_its_leash(tmp_path):
    far = eraser(gamma=100.0)
    plain = Descent("plain", (ascent(reduction="seqmean"), kl()))
    (a, da), (b, db) = (loss_and_gradient(s, tmp_path / s.name) for s in (far, plain))
    assert a - 100.0 == pytest.approx(b)
    same(da, db)


def test_eraser_with_the_floor_at_nothing_is_its_leash_alone(tmp_path):
    (a, da), (b, db) = (
        loss_and_gradient(s, tmp_path / s.name)
        for s in (eraser(gamma=0.0), Descent("leash", (kl(),)))
    )
    assert a == pytest.approx(b)
    same(da, db)


def test_pdu_without_dual_steps_is_grad_diff_with_its_margin(tmp_path):
    margin = Term("forget", pdu_term, ("forget",), "tok", frozenset({"logits"}))
    plain = replace(grad_diff(), terms=(margin, *grad_diff(retain_weight=7.0).terms[1:]))
    (a, da), (b, db) = (
        loss_and_gradient(s, tmp_path / str(i))
        for i, s in enumerate((pdu(multiplier=7.0, dual_step_size=0.0), plain))
    )
    assert a == pytest.approx(b)
    same(da, db)


def test_jensun_on_rows_of_the_start_has_no_gradient_there(tmp_path):
    _, gradient = loss_and_gradient(Descent("jsd", (jsd(),)), tmp_path, now=0)
    assert max(g.abs().max().item() for g in gradient.values()) < 1e-6


def test_jensun_near_its_pattern_is_half_ln_2_of_the_missing_probability():
    """JSD to a certain word, p = 1 - e: e ln 2 / 2 + O(e^2), where NLL is e."""
    p = a_pass(p=[1 - 1e-5])
    assert loss_of(stages(jensun())[-1].terms[0], p).item() == pytest.approx(
        math.log(2) / 2 * loss_of(nll("forget"), p).item(), rel=1e-4
    )


def test_answer_preservation_is_half_of_dpo_without_a_start_model():
    win, lose = (
        a_pass(p=[0.5, 0.3], start=[1.0, 1.0], stream="retain"),
        a_pass(p=[0.2], start=[1.0], stream="retain_refused"),
    )
    torch.testing.assert_close(
        2 * preservation_term(lose, win, beta=0.3), idk_dpo_term(win, lose, beta=0.3)
    )


def test_flat_is_half_a_difference_of_probabilities_where_both_are_small():
    e, f = a_pass(p=[1e-4], stream="alternate"), a_pass(p=[3e-4])
    assert loss_of(forget_of(flat()).terms[0], e, f).item() == pytest.approx(1e-4, rel=1e-4)


def test_ce_u_stops_where_the_answer_is_gone(tmp_path):
    """p - q vanishes with p_y: the gradient is no longer than sqrt 2 p_y."""
    forget = ce_u()[-1].terms[0]
    for p in (0.5, 1e-6):
        z = (
            torch.tensor([[p, (1 - p) * 0.7, (1 - p) * 0.3]], dtype=torch.float64)
            .log()
            .requires_grad_()
        )
        teacher = forget.provider.edit((z.detach(),), torch.tensor([0]))
        loss_of(forget, a_pass(logits=z, labels=[0], teacher=teacher)).backward()
        assert p < z.grad.norm().item() <= math.sqrt(2) * p
