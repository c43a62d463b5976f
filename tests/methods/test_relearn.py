"""ReLearn by hand; what is written for it is tests/prepare/test_written.py."""

from math import log

import pytest
from napkin import a_pass

from expunge.core.data import Case, Example
from expunge.core.errors import Refused
from expunge.losses.inputs import loss_of
from expunge.losses.terms import nll
from expunge.methods.relearn import relearn
from expunge.pipeline.training_inputs import TrainingInputs


def test_with_alternates_for_data_it_is_plain_fine_tuning():
    forget = relearn()[-1].terms[0]
    p = a_pass(p=[0.5, 0.25], stream="alternate")
    assert (
        loss_of(forget, p).item()
        == pytest.approx(loss_of(nll(stream="alternate"), p).item())
        == pytest.approx((log(2) + log(4)) / 2)
    )


def test_three_terms_of_weight_one():
    assert [(t.name, t.coef) for t in relearn()[-1].terms] == [
        ("nll/alternate", 1.0),
        ("nll/retain", 1.0),
        ("kl/retain", 1.0),
    ]
    assert [t.name for t in relearn(kl_weight=0.0, retain_weight=0.0)[-1].terms] == [
        "nll/alternate"
    ]


def test_without_a_chat_model_nothing_is_loaded():
    rows = (Example("f", "forget", "g", "a", "q"),)
    with pytest.raises(Refused, match=r"^relearn needs a chat model; give one with --chat MODEL"):
        TrainingInputs(
            relearn(), Case({"forget": rows, "retain": rows}, {}), name="relearn"
        ).check()
