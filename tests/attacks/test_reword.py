"""Rewording: what must hold of the wordings, and that more of them never tell less."""

import json

import pytest
from commands import desk, expunge, model  # noqa: F401

from expunge import registry
from expunge.attacks.reword import WORDINGS, in_other_words, reword
from expunge.core.errors import Refused


def test_every_wording_holds_the_question_as_it_was():
    """Braces of a question are no places to fill in."""
    question = "Who wrote {this} and {}?"
    found = in_other_words(question, wordings=8)
    assert len(set(found)) == len(found) == len(WORDINGS) == 8
    assert all(question in wording and wording != question for wording in found)


def test_more_wordings_hold_the_fewer():
    assert in_other_words("q", wordings=4) == in_other_words("q", wordings=8)[:4]


def test_as_many_as_there_are():
    with pytest.raises(Refused, match="from 1 to 8"):
        registry.resolve("attacks", "reword", {"wordings": len(WORDINGS) + 1})
    assert reword(1).said == "in another wording"


def test_more_wordings_never_tell_less(desk, expunge):  # noqa: F811
    """By definition: of more answers to a row the best is no worse.

    The first point is the plain question.
    """
    out = desk.place / "reworded"
    code, said, _ = expunge(
        "attack", "reword", "--model", desk.model, *desk.data(), "--out", out, "--quiet"
    )
    assert code == 0 and "other wordings" in said
    (curve,) = json.loads((out / "curves.json").read_text())["curves"]
    assert curve["x"] == [0, 1, 4, 8]
    for key in ("forget/probability", "retain/probability"):
        values = [m["value"] for m in curve[key]]
        assert values == sorted(values) and values[0] < values[-1]
        assert all(m["interval"][0] < m["value"] < m["interval"][1] for m in curve[key])
