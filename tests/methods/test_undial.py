"""UNDIAL by hand."""

from math import log

import pytest
import torch
from napkin import a_pass

from expunge.losses.inputs import loss_of
from expunge.methods.undial import undial


# beta ln 3: target (.1, .3, .3, .3), loss ln 4, gradient (.15, -.05, -.05, -.05)
def test_four_words_at_zero_logits():
    (term,) = undial(beta=log(3)).terms
    z = torch.zeros(1, 4, dtype=torch.float64, requires_grad=True)
    teacher = term.provider.edit(
        (torch.log_softmax(torch.zeros(1, 4, dtype=torch.float64), -1),), torch.tensor([0])
    )
    assert torch.softmax(teacher, -1)[0].tolist() == pytest.approx([0.1, 0.3, 0.3, 0.3])
    loss = loss_of(term, a_pass(logits=z, labels=[0], teacher=teacher))
    loss.backward()
    assert loss.item() == pytest.approx(log(4))
    assert z.grad[0].tolist() == pytest.approx([0.15, -0.05, -0.05, -0.05])
