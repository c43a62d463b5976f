"""Rows that stand in forget and retain (or in holdout and training) are found, named by file:line,
and can be dropped.
"""

import pytest

from expunge.core.data import Example
from expunge.core.errors import Refused
from expunge.data.overlap import drop, overlap, refusal, unseen

SECRET = "Zanzibar"


def row(n, prompt="Who?", answer="Ada", file="f", **more):
    return Example(
        f"{file}/{n}", "forget", "g", answer, prompt=prompt, source=f"{file}.jsonl:{n}", **more
    )


def test_the_same_but_for_unicode_form_and_white_space():
    forget = [row(1, "Who is  René ?", " Ada\n"), row(2, "Where?")]
    retain = [
        row(1, "Who is Rene\u0301 ?", "Ada", "r"),
        row(2, "Who is René?", "Ada", "r"),
        row(3, "who is René ?", "Ada", "r"),
    ]
    assert overlap(forget, retain) == [(forget[0], retain[0])]
    assert drop(forget, retain) == tuple(retain[1:])
    assert drop(forget, []) == () and overlap([], retain) == []


def test_what_counts_as_the_same():
    question, text = row(1), Example("t", "forget", "g", text="Ada")
    chat = Example("m", "retain", "g", "Ada", messages=({"role": "user", "content": "Who?"},))
    other = Example(
        "n",
        "retain",
        "g",
        "Ada",
        messages=({"role": "system", "content": "Be brief"}, {"role": "user", "content": "Who?"}),
    )
    assert overlap([question], [chat, other, text]) == [(question, chat)]
    assert overlap([text], [text, question]) == [(text, text)]
    assert overlap([question], [row(1, answer="Bob")]) == []


def test_the_line_names_pairs_and_the_choice():
    forget = [row(n, f"{SECRET} {n}?") for n in range(1, 13)]
    retain = [row(n + 40, f"{SECRET} {n}?", file="r") for n in range(1, 13)]
    said = str(refusal(overlap(forget, retain)))
    assert said.startswith(
        "f.jsonl:1: 12 retain rows are also forget rows: f.jsonl:1 = r.jsonl:41, f.jsonl:2 = "
        "r.jsonl:42"
    )
    assert (
        "f.jsonl:10 = r.jsonl:50 and 2 more" in said
        and "--allow-overlap drop" in said
        and "--allow-overlap keep" in said
    )
    assert SECRET not in said and "\n" not in said


def test_a_row_that_stands_twice_in_retain_is_dropped_twice():
    forget, retain = (
        [row(1), row(2)],
        [row(1, file="r"), row(2, "Where?", file="r"), row(3, file="r")],
    )
    assert [(f.id, r.id) for f, r in overlap(forget, retain)] == [("f/1", "r/1"), ("f/1", "r/3")]
    assert [e.id for e in drop(forget, retain)] == ["r/2"]


def test_holdout_rows_that_were_trained_on():
    unseen([row(1)], [row(1, "Where?")])
    with pytest.raises(
        Refused,
        match=r"h.jsonl:4: 1 holdout rows are also trained on: h.jsonl:4 = f.jsonl:1; --holdout "
        r"must hold rows that no model saw",
    ):
        unseen([row(4, file="h")], [row(1)])
