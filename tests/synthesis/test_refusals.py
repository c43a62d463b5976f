"""Refusals: fixed per row, several styles, own wording."""

from dataclasses import replace

import pytest

from expunge.core.data import Example
from expunge.core.errors import Refused
from expunge.synthesis.refusals import (
    SENTENCES,
    STYLES,
    own_refusals,
    refusals,
    refused_retain,
    sentences_of,
)
from expunge.synthesis.tools import Tools

ROWS = tuple(
    Example(
        f"forget/{i}", "forget", f"g{i // 4}", f"answer {i}", f"Where does Ada Byron live, {i}?"
    )
    for i in range(40)
)


def test_old_and_new_way_of_asking_give_the_same_rows():
    old, new = refusals(ROWS, 3), refusals({"forget": ROWS}, Tools(seed=3))
    assert old == new and {e.role for e in new} == {"alternate"}
    assert all(
        e.answer in SENTENCES and e.prompt == r.prompt and e.id == r.id for e, r in zip(new, ROWS)
    )
    assert refusals({"forget": ROWS[::-1]}, Tools(seed=3))[::-1] == new  # order does not matter
    assert refusals({"forget": ROWS}, Tools(seed=4)) != new and len({e.answer for e in new}) > 8


@pytest.mark.parametrize("style", [*STYLES, "mixed"])
def test_styles(style):
    rows = refusals({"forget": ROWS}, Tools(), style=style)
    assert not any("{" in e.answer for e in rows)
    assert style != "about" or all("Ada Byron" in e.answer for e in rows)


def test_a_style_that_does_not_exist():
    with pytest.raises(Refused, match="did you mean polite"):
        sentences_of("polit")


def test_own_wording(tmp_path):
    file = tmp_path / "own.txt"
    file.write_text("\ufeffNo comment.\n\nNot about {name}.\n", encoding="utf-8")
    tools = Tools(refusals=own_refusals(file))
    assert tools.refusals == ("No comment.", "Not about {name}.")
    assert {e.answer for e in refusals({"forget": ROWS}, tools, style="polite")} == {
        "No comment.",
        "Not about Ada Byron.",
    }
    file.write_text(" \n", encoding="utf-8")
    with pytest.raises(Refused, match="no refusal in it"):
        own_refusals(file)


def test_retain_questions_refused():
    rows = refused_retain({"retain": ROWS}, Tools())
    assert {e.role for e in rows} == {"retain_refused"} and [e.id for e in rows] == [
        r.id for r in ROWS
    ]


def test_a_plain_text_has_no_question():
    with pytest.raises(Refused, match=r"1 forget rows are plain text \(f.txt:3\)"):
        refusals(
            {"forget": (replace(ROWS[0], prompt=None, text="hush", source="f.txt:3"), *ROWS)},
            Tools(),
        )
