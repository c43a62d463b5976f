"""SeUL by hand."""

from dataclasses import replace
from math import log

import pytest
import torch
from napkin import a_pass
from torch import tensor

from expunge.core.data import Case, Example
from expunge.core.errors import Refused
from expunge.losses.inputs import loss_of
from expunge.losses.terms import ascent
from expunge.methods.seul import seul
from expunge.pipeline.training_inputs import TrainingInputs

P = a_pass(p=[0.5, 0.2, 0.8])
TERM = seul()[-1].terms[0]


def weighed(*weights):
    return replace(P, weight=tensor([weights]).double())


def test_only_marked_tokens_count():  # mean of log .2 and log .8
    assert loss_of(TERM, weighed(0, 1, 1)).item() == pytest.approx((log(0.2) + log(0.8)) / 2)


def test_all_tokens_marked_is_gradient_ascent():
    assert loss_of(TERM, weighed(1, 1, 1)).item() == pytest.approx(
        loss_of(ascent(reduction="seqmean"), P).item()
    )


def test_no_token_marked_moves_nothing():
    p = replace(weighed(0, 0, 0), logp=P.logp.clone().requires_grad_())
    loss_of(TERM, p).backward()
    assert torch.equal(p.logp.grad, torch.zeros(1, 3).double())


def test_a_chat_model_is_asked_for_only_where_it_marks():
    case = Case(
        {
            "forget": (Example("f", "forget", "g", "a", "q"),),
            "retain": (Example("r", "retain", "g", "a", "q"),),
        },
        {},
    )
    TrainingInputs(seul(), case, name="seul").check()
    with pytest.raises(Refused, match=r"^seul needs a chat model; give one with --chat"):
        TrainingInputs(seul(spans="chat"), case, name="seul").check()
