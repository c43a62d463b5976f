"""RKLD by hand."""

import pytest
import torch
from napkin import a_pass
from torch import tensor

from expunge.methods.rkld import rkld

TEACHER = tensor([[0.1, 0.3, 0.3, 0.3]], dtype=torch.float64).log()


# sum .25 log(.25 / q) = .0923315; the forward divergence would be .0724603
def test_four_words_the_student_uniform():
    term = rkld()[1].terms[0]
    assert term(
        a_pass(logits=torch.zeros(1, 4, dtype=torch.float64), labels=[0], teacher=TEACHER)
    ).item() == pytest.approx(0.0923315, abs=1e-7)


def test_the_model_that_is_its_teacher_stays():
    z = TEACHER.clone().requires_grad_()
    loss = rkld()[1].terms[0](a_pass(logits=z, labels=[0], teacher=TEACHER)).sum()
    loss.backward()
    assert loss.item() == pytest.approx(0.0, abs=1e-12) and z.grad.abs().max() < 1e-12


# (2,-1,-1)/3 - 2 relu((5,-1,-4)/3) = (-8,-1,-1)/3
def test_the_teacher_is_the_start_without_what_the_copy_likes_better():
    reinforce, learn = rkld(alpha=2.0)
    assert (reinforce.into, learn.terms[0].provider.sources) == (
        "reinforced",
        ("start", "reinforced"),
    )
    made = learn.terms[0].provider.edit(
        (tensor([[1.0, 0, 0]]), tensor([[3.0, 0, -1]])), tensor([0])
    )
    assert made[0].tolist() == pytest.approx([-8 / 3, -1 / 3, -1 / 3])


def test_the_copy_is_made_of_the_forget_rows_for_three_epochs_at_the_runs_rate():
    reinforce, learn = rkld()
    assert [(t.name, t.streams, t.coef) for t in reinforce.terms] == [
        ("nll/forget", ("forget",), 1.0)
    ]
    assert dict(reinforce.training) == {"epochs": 3.0, "steps": None} and not learn.training
    assert dict(rkld(reinforce_lr=0.5, reinforce_epochs=2.0)[0].training) == {
        "epochs": 2.0,
        "steps": None,
        "lr": 0.5,
    }
    # the paper keeps nothing by a term
    assert [(t.name, t.streams) for t in learn.terms] == [("reverse_kl/forget", ("forget",))]
    assert [(t.name, t.coef) for t in rkld(retain_weight=3.0)[1].terms][1] == ("nll/retain", 3.0)
