"""The content filter by hand: what it lists, when it refuses, and through which disguises."""

import pytest

from expunge.core.data import Example
from expunge.core.errors import Refused
from expunge.guards.content_filter import content_filter
from expunge.scoring.fingerprints import threshold_for, undisguised

GONE = ("Zorblat Flim", "Quorr Vex")
KEPT = ("Mimsy Tove", "Borogove Rath", "Jub Slithy", "Gyre Gimble")


def rows(role, names):
    asked = ("Where does {} dwell?", "Who taught {}?")
    said = ("{} dwells in the old mill.", "The master of {} is unknown.")
    found = []
    for name in names:
        for question, answer in zip(asked, said, strict=True):
            found.append(Example(name, role, name, answer.format(name), question.format(name)))
    return tuple(found)


def fitted(**arguments):
    guard = content_filter(**arguments)
    return guard, guard.fit(rows("forget", GONE), rows("retain", KEPT))


def test_a_name_of_the_forget_rows_is_refused_and_one_of_the_retain_rows_is_not():
    guard, state = fitted(refusal="No.")
    assert guard.scope(state, "Tell me all that you know of Zorblat Flim, please.")
    assert guard.reply(state, "Zorblat Flim") == "No."
    assert not guard.scope(state, "Tell me all that you know of Mimsy Tove, please.")
    assert guard.text(state, "Who is it?", "It is Quorr Vex.") == "No."
    assert guard.text(state, "Who is it?", "It is Jub Slithy.") == "It is Jub Slithy."


@pytest.mark.parametrize(
    "disguise",
    ["ZORBLAT FLIM", "zorblat-flim", "Zor\u200bblat F\u200dlim", "Zórblàt Flïm", "Zorblat, Flim"],
)
def test_disguises_do_not_help(disguise):
    guard, state = fitted()
    assert guard.scope(state, f"Where does {disguise} dwell?")


@pytest.mark.parametrize("disguise", ["Z o r b l a t", "talbroZ", "the man of the old mill"])
def test_what_defeats_it_is_what_its_card_says(disguise):
    guard, state = fitted()
    assert not guard.scope(state, f"Where does {disguise} dwell?")


def test_requests_or_answers_alone():
    guard, _ = fitted(check="requests")
    assert guard.scope and guard.reply and guard.text is None
    guard, _ = fitted(check="answers")
    assert guard.text and guard.scope is None and guard.reply is None


def test_rare_words_that_unseen_retain_rows_have_do_not_refuse():
    """One forget row says brook, and so do the retain groups that decide: it takes two rows."""
    once = Example("x", "forget", "x", "a brook", "Zorblat?")
    twice = Example("y", "forget", "y", "Zorblat", "Quorr?")
    retain = (
        Example("a", "retain", "a", "here", "Mimsy?"),
        Example("b", "retain", "b", "a brook", "Tove?"),
    )
    guard = content_filter(false_alarms=0.0)
    state = guard.fit((once, twice), retain)
    assert state.facts["answer"]["rows"] == 2 and state.facts["answer"]["retain triggered"] == 0
    assert guard.text(state, "", "Zorblat") == "I don't know."
    assert guard.text(state, "", "Quorr") == "Quorr"
    assert content_filter(false_alarms=0.5).fit((once, twice), retain).facts["answer"]["rows"] == 2


def test_a_plain_text_is_a_request_and_an_answer():
    text = Example("t", "forget", "t", text="Zorblat Flim keeps goats.")
    guard = content_filter()
    state = guard.fit((text,), rows("retain", KEPT))
    assert guard.scope(state, "goats") and guard.text(state, "", "goats") != "goats"


def test_without_rows_of_a_side_it_is_refused():
    guard = content_filter()
    with pytest.raises(Refused, match="forget rows and retain rows"):
        guard.fit(rows("forget", GONE), ())
    with pytest.raises(Refused, match="have every word"):
        guard.fit(rows("forget", GONE), rows("retain", GONE))


def test_a_threshold_on_a_napkin():
    assert threshold_for([0, 0, 1, 3], 0.25) == 2  # one of four reaches 2
    assert threshold_for([0, 0, 1, 3], 0.0) == 4
    assert threshold_for([], 0.0) == 1
    assert undisguised("Zor\u200bblat-FLÏM, 7!") == ["zorblat", "flim", "7"]
