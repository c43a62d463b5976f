"""IDK with answer preservation by hand."""

from math import exp

import pytest
from napkin import a_pass

from expunge.core.data import Example
from expunge.losses.inputs import loss_of
from expunge.methods.idk_ap import idk_ap
from expunge.synthesis.tools import Tools


@pytest.mark.parametrize("refusal,value", [(5.0, 6.931472), (25.0, 1.269280)])
# NLL of the refusal, that of the answer is 5: ln 2 / .1 when equal, no 2
def test_preference_at_two_distances(refusal, value):
    term = idk_ap(beta=0.1)[1].terms[1]
    got = loss_of(
        term,
        a_pass(p=[exp(-refusal)], stream="retain_refused"),
        a_pass(p=[exp(-2.0), exp(-3.0)], stream="retain"),
    )
    assert got.item() == pytest.approx(value, abs=1e-5)


def test_refusals_stand_on_both_sides_and_no_start_model_is_asked():
    refuse, learn = idk_ap()
    assert [t.streams for t in learn.terms] == [("alternate",), ("retain_refused", "retain")]
    assert all(not t.needs for t in learn.terms) and learn.terms[1].side == "retain"
    (made,) = refuse.fn({"retain": (Example("r", "retain", "g", "Paris.", "Where?"),)}, Tools())
    assert (made.id, made.role, made.prompt) == (
        "r",
        "retain_refused",
        "Where?",
    ) and made.answer != "Paris."
