"""UnStar by hand; what is written for it is tests/prepare/test_written.py."""

from math import log

import pytest
from napkin import a_pass

from expunge.core.data import Case, Example
from expunge.core.errors import Refused
from expunge.core.stages import streams_of
from expunge.losses.inputs import loss_of
from expunge.methods.unstar import unstar
from expunge.pipeline.training_inputs import TrainingInputs


def test_reason_and_wrong_answer_are_learned():
    prepare, learn = unstar()
    assert loss_of(
        learn.terms[0], a_pass(p=[0.5, 0.1], stream="alternate")
    ).item() == pytest.approx((log(2) + log(10)) / 2)
    assert learn.anchor == "alternate" and prepare.stream == "alternate"


def test_facts_that_need_none_get_no_steps():  # only anti-samples are counted by epochs
    assert streams_of(unstar(retain_weight=0.0)) == {"alternate"}


def test_without_a_chat_model_nothing_is_loaded():
    rows = (Example("f", "forget", "g", "a", "q"),)
    with pytest.raises(Refused, match=r"^unstar needs a chat model; give one with --chat MODEL"):
        TrainingInputs(unstar(), Case({"forget": rows, "retain": rows}, {}), name="unstar").check()
