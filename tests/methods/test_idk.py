"""IDK by hand: one mean over refusals and retain answers."""

import pytest
from napkin import a_pass

from expunge.core.data import Example
from expunge.losses.inputs import loss_of
from expunge.methods.idk import idk
from expunge.synthesis.refusals import STYLES
from expunge.synthesis.tools import Tools


def test_longer_answers_weigh_more():  # (log 2 + 3 log 5) / 4
    refusal, kept = a_pass(p=[0.5], stream="alternate"), a_pass(p=[0.2, 0.2, 0.2], stream="retain")
    assert loss_of(idk().terms[0], refusal, kept).item() == pytest.approx(
        (0.693147 + 3 * 1.609438) / 4, abs=1e-6
    )


def test_without_retain_it_reads_none():
    assert idk(keep=False).terms[0].streams == ("alternate",)


def test_a_style_is_made_beforehand():
    refuse, learn = idk(style="polite")
    assert (
        refuse.stream == "alternate"
        and not refuse.needs
        and learn.terms[0].streams == ("alternate", "retain")
    )


def test_the_refusals_are_of_the_style_that_was_asked_for():
    refuse, _ = idk(style="polite")
    made = refuse.fn({"forget": [Example("f", "forget", "g", "It was in 1901.", "When?")]}, Tools())
    assert made[0].answer in STYLES["polite"] and made[0].answer not in STYLES["plain"]
