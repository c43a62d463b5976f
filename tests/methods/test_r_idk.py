"""Reasoned IDK by hand."""

from math import log

import pytest
from napkin import a_pass

from expunge.core.data import Example
from expunge.losses.inputs import loss_of
from expunge.methods.r_idk import r_idk
from expunge.synthesis.tools import Tools

ROWS = tuple(
    Example(f"f/{i}", "forget", f"g{i}", f"In Rome{i}.", f"Where does Ada Byron live, {i}?")
    for i in range(6)
)


def test_thoughts_and_refusal_are_learned_alike():
    term = r_idk()[-1].terms[0]
    assert loss_of(term, a_pass(p=[0.5, 0.2], stream="alternate")).item() == pytest.approx(
        -(log(0.5) + log(0.2)) / 2
    )


def test_thoughts_belong_to_their_row_by_id():
    """The reference code matches them by place: a shuffle or another split breaks that."""
    make = r_idk()[0].fn
    there, back = make({"forget": ROWS}, Tools(seed=2)), make({"forget": ROWS[::-1]}, Tools(seed=2))
    assert {e.id: e.answer for e in there} == {e.id: e.answer for e in back}


def test_without_thoughts_it_is_the_refusal_twice_as_in_the_direct_form():
    (prepare, _), row = r_idk(opening="[", closing="] "), ROWS[0]
    (made,) = prepare.fn({"forget": (row,)}, Tools(refusals=("I don't know.",)))
    assert made.answer.startswith("[") and made.answer.endswith("] I don't know.")
