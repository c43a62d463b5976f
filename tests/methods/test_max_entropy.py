"""Maximum entropy by hand."""

import pytest
import torch
from napkin import a_pass

from expunge.losses.inputs import loss_of
from expunge.methods.max_entropy import max_entropy


def loss(*p):
    forget = max_entropy(forget_weight=1.0).terms[0]
    z = torch.tensor([p], dtype=torch.float64).log()
    return loss_of(
        forget, a_pass(logits=z, labels=[0], teacher=forget.provider.edit((z,), torch.tensor([0])))
    ).item()


def test_it_is_the_divergence_from_uniform_to_the_model():
    """Neither minus the entropy (-.940448) nor KL(p || uniform) (.445846)."""
    assert loss(0.7, 0.1, 0.1, 0.1) == pytest.approx(0.429813, abs=1e-6)
    assert loss(0.25, 0.25, 0.25, 0.25) == pytest.approx(0.0, abs=1e-12)


def test_question_tokens_count_and_the_weight_is_the_papers():
    forget, retain = max_entropy().terms
    assert (forget.span, forget.coef, retain.coef) == ("all", 0.1, 1.0)
