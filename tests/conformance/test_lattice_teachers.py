"""Special cases of methods with teachers that must coincide, as equalities of losses and gradients
of a small model.
"""

from functools import partial

import pytest
import torch
from conformance.test_lattice import loss_and_gradient, same
from napkin import a_pass

from expunge.core.stages import Descent, Teacher
from expunge.losses.inputs import loss_of
from expunge.losses.teachers import certain, turned_down, without_label
from expunge.losses.terms import cross_entropy, nll, reverse_kl
from expunge.methods.e2urec import e2urec
from expunge.methods.rkld import rkld
from expunge.methods.undial import undial
from expunge.methods.whp import whp


def size(gradient):
    return max(g.abs().max().item() for g in gradient.values())


@pytest.mark.parametrize(
    "arguments",
    [{"alpha": 0.0, "other": 3}, {"alpha": 5.0, "other": 0}],
    ids=["alpha 0", "copy = start"],
)
def test_rkld_has_no_gradient_at_the_start_without_reinforcement(tmp_path, arguments):
    stage = rkld(alpha=arguments["alpha"])[1]
    loss, gradient = loss_and_gradient(stage, tmp_path, now=0, reinforced=arguments["other"])
    assert loss == pytest.approx(0.0, abs=1e-6) and size(gradient) < 1e-6


def test_and_with_it_there_is_one(tmp_path):
    assert size(loss_and_gradient(rkld(alpha=5.0)[1], tmp_path, now=0, reinforced=3)[1]) > 1e-3


def test_the_forget_term_of_e2urec_has_no_gradient_at_the_start_without_reinforcement(tmp_path):
    stage = e2urec(alpha=0.0, weight=0.0)[1]
    assert size(loss_and_gradient(stage, tmp_path, now=0, reinforced=3)[1]) < 1e-6


def test_certain_targets_have_a_gradient_at_the_start(tmp_path):
    """p - one_hot: the model only sharpens itself."""
    sharpen = Descent(
        "sharpen", (cross_entropy(provider=Teacher(edit=lambda z, y: certain(z[0]))),)
    )
    assert size(loss_and_gradient(sharpen, tmp_path, now=0)[1]) > 1e-3


def test_undial_from_itself_with_a_great_beta_is_cross_entropy_without_the_label(tmp_path):
    """UNDIAL(beta -> infinity, teacher = the model itself, now) = CE-U, away from the start too."""
    great = Descent(
        "undial",
        (cross_entropy(provider=Teacher(("current",), edit=partial(turned_down, beta=200.0))),),
    )
    ce_u = Descent("ce_u", (cross_entropy(provider=Teacher(("current",), edit=without_label)),))
    (a, da), (b, db) = (loss_and_gradient(s, tmp_path) for s in (great, ce_u))
    assert a == pytest.approx(b, rel=1e-6)
    same(da, db)


def test_the_same_on_a_napkin():  # p = (.6, .2, .15, .05): gradient p - q = (.6, -.3, -.225, -.075)
    z = torch.tensor([[0.6, 0.2, 0.15, 0.05]], dtype=torch.float64).log()
    for edit in (without_label, partial(turned_down, beta=50.0)):
        now = z.clone().requires_grad_()
        loss_of(
            cross_entropy(), a_pass(logits=now, labels=[0], teacher=edit((z,), torch.tensor([0])))
        ).backward()
        assert now.grad[0].tolist() == pytest.approx([0.6, -0.3, -0.225, -0.075])


def test_a_fixed_teacher_is_not_the_model_itself(tmp_path):
    """undial()'s teacher is the start: away from it the two differ."""
    a, b = (
        loss_and_gradient(
            Descent("x", (cross_entropy(provider=Teacher((s,), edit=without_label)),)), tmp_path
        )
        for s in ("start", "current")
    )
    assert abs(a[0] - b[0]) > 1e-3
    assert undial().terms[0].provider.sources == ("start",)


def test_rkld_is_the_teacher_of_whp_under_reverse_kl(tmp_path):
    teacher = whp(alpha=2.0, targets="soft")[1].terms[0].provider
    a, b = (
        loss_and_gradient(s, tmp_path, reinforced=3)
        for s in (rkld(alpha=2.0)[1], Descent("x", (reverse_kl(provider=teacher),)))
    )
    assert a[0] == pytest.approx(b[0], rel=1e-6)
    same(a[1], b[1])


def test_e2urec_without_alpha_is_self_distillation_and_fine_tuning(tmp_path):
    """After its first phase, when both sides count."""
    plain = (0.4 * cross_entropy("forget"), 0.6 * nll("retain"), 0.6 * cross_entropy("retain"))
    a, b = (
        loss_and_gradient(s, tmp_path, reinforced=3)
        for s in (e2urec(alpha=0.0, weight=0.6)[1], Descent("x", plain))
    )
    assert a[0] == pytest.approx(b[0], rel=1e-6)
    same(a[1], b[1])
