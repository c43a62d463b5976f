"""Rows that are all but the same are found among many, in linear time, and said without a word of
them.
"""

import time

import pytest

from expunge.api import case_of
from expunge.core.data import Case, Example
from expunge.core.errors import Refused
from expunge.core.notes import forget_notes
from expunge.data.near import near, repeated, tell

PEOPLE = [
    (
        f"Where does Zorblat{i} live, and since when?",
        f"Zorblat{i} has lived in Ede{i} since {1900 + i}.",
    )
    for i in range(12)
]


@pytest.fixture(autouse=True)
def fresh():
    forget_notes()


def rows(pairs, file="f"):
    return [
        Example(f"{file}/{i}", file, f"{file}/{i}", a, q, source=f"{file}:{i + 1}")
        for i, (q, a) in enumerate(pairs)
    ]


def test_case_marks_and_spaces_do_not_tell_rows_apart():
    other = [(q.upper() + " ", a.replace(".", "!")) for q, a in PEOPLE]
    assert [(a.id, b.id) for a, b in near(rows(PEOPLE), rows(other, "r"))] == [
        (f"f/{i}", f"r/{i}") for i in range(12)
    ]


def test_rows_of_one_form_about_others_are_not_the_same():
    assert near(rows(PEOPLE[:6]), rows(PEOPLE[6:], "r")) == [] and repeated(rows(PEOPLE)) == []


def test_a_word_in_a_long_text_does_not_tell_rows_apart():
    text = " ".join(f"word{i}" for i in range(200))
    a = Example("a", "forget", "a", text=text)
    b = Example("b", "retain", "b", text=text.replace("word77 ", "other "))
    c = Example("c", "retain", "c", text=" ".join(f"word{i}" for i in range(40, 240)))
    assert near([a], [b, c]) == [(a, b)]


def test_what_is_said(caplog):
    forget = tuple(rows([*PEOPLE, *PEOPLE[:2]], "f"))
    retain = tuple(rows([(q.lower(), a) for q, a in PEOPLE[:3]], "r"))
    tell(
        Case(
            {"forget": forget, "retain": retain},
            {"forget": forget, "retain": retain, "holdout": tuple(rows(PEOPLE[5:6], "h"))},
        )
    )
    assert caplog.messages == [
        "f:1 = f:13, f:2 = f:14: 2 of 14 forget rows repeat an earlier one, all but word for word; "
        "each counts",
        "f:1 = r:1, f:2 = r:2, f:3 = r:3: 3 of 3 retain rows are forget rows, all but word for "
        "word; "
        "what they teach to keep is what is to be forgotten",
        "f:6 = h:1: 1 of 1 holdout rows are trained on, all but word for word; membership scores "
        "need rows that no model saw",
        "the forget set is 14 of 17 rows: hardly any teach what is to be kept; give more with "
        "--retain",
    ]
    assert "Zorblat" not in caplog.text


def test_nothing_is_said_of_rows_that_differ(caplog):
    forget, retain = tuple(rows(PEOPLE[:4])), tuple(rows(PEOPLE[4:], "r"))
    tell(Case({"forget": forget, "retain": retain}, {"forget": forget, "retain": retain}))
    assert not caplog.messages


def test_rows_in_memory_are_looked_at_too(caplog):
    mapped = [{"question": q, "answer": a} for q, a in PEOPLE]
    case_of(
        None, mapped[:6], [*mapped[6:], {"question": PEOPLE[0][0] + "?", "answer": PEOPLE[0][1]}]
    )
    assert "forget rows:1 = retain rows:7: 1 of 7 retain rows are forget rows" in caplog.text
    with pytest.raises(Refused, match="holdout rows are also trained on"):
        case_of(None, mapped, mapped[6:], mapped[:1])


def test_time_grows_with_the_number_of_rows():
    """Rows of one form meet in the same bands; each is compared with few."""
    many = rows(
        [
            (
                f"Where does the old Zorblat number {i} live these days, and with whom?",
                f"In Ede{i}.",
            )
            for i in range(3000)
        ]
    )
    began = time.process_time()
    assert near(many, rows([("Where?", "There.")], "r")) == [] and repeated(many) == []
    assert time.process_time() - began < 6
