"""CE-U by hand."""

from math import log

import pytest
import torch
from napkin import a_pass
from small import rows

from expunge.losses.inputs import loss_of
from expunge.methods.ce_u import ce_u
from expunge.synthesis.tools import Tools


def step(z, label=0):
    """Loss and gradient by the logits of one row."""
    forget = ce_u()[-1].terms[0]
    z = torch.tensor([z], dtype=torch.float64, requires_grad=True)
    y = torch.tensor([label])
    teacher = forget.provider.edit((torch.log_softmax(z.detach(), -1),), y)
    loss = loss_of(forget, a_pass(logits=z, labels=[label], teacher=teacher))
    loss.backward()
    return loss.item(), z.grad[0].tolist()


def test_an_even_row():
    loss, gradient = step([0.0] * 4)
    assert loss == pytest.approx(log(4)) and gradient == pytest.approx(
        [0.25, -1 / 12, -1 / 12, -1 / 12]
    )


def test_the_gradient_is_p_minus_the_row_without_its_label():
    _, gradient = step([log(0.6), log(0.2), log(0.15), log(0.05)])
    assert gradient == pytest.approx([0.6, -0.3, -0.225, -0.075])


def test_a_word_that_is_already_impossible_is_no_accident():  # 0 log 0 of the naive form
    loss, gradient = step([-1e4, 0.0, 0.0])
    assert loss == pytest.approx(log(2)) and gradient == pytest.approx([0.0] * 3)


def test_first_tokens_are_spared_and_the_last_never_is():
    spare, learn = ce_u(skip=3)
    forget = rows("forget", 8)
    for row, old in zip(spare.fn({"forget": forget}, Tools()), forget):
        left = max(sum(old.scored) - 3, 1)
        assert (
            sum(row.scored) == left and row.scored[-left:] == (True,) * left and row.ids == old.ids
        )
    assert len(ce_u(skip=0)) == 1 and len(learn.terms) == 1
