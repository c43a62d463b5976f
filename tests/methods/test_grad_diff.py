"""GradDiff by hand."""

import pytest
from napkin import a_pass

from expunge.losses.inputs import loss_of
from expunge.methods.grad_diff import grad_diff


# forget: (log .5 + log .5 + log .2)/3; retain -log .8 = .223144
def test_means_per_token_not_per_row():
    forget, retain = grad_diff().terms
    f = a_pass(p=[[0.5, 0.5], [0.2, 1.0]], mask=[[True, True], [True, False]])
    assert loss_of(forget, f).item() == pytest.approx(-(0.693147 * 2 + 1.609438) / 3, abs=1e-6)
    assert loss_of(retain, a_pass(p=[0.8], stream="retain")).item() == pytest.approx(
        0.223144, abs=1e-6
    )


def test_equal_batches_cancel():
    same = a_pass(p=[[0.5, 0.2], [0.9, 0.4]])
    assert sum(loss_of(t, same) for t in grad_diff().terms).item() == 0.0


def test_a_weight_of_zero_is_not_computed():
    assert [t.name for t in grad_diff(retain_weight=0).terms] == ["ascent/forget"]
