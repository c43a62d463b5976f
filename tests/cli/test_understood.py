# ruff: noqa: F401, F811 (fixtures are imported by name)
"""What rows were taken for is said: how many, of which kind, in which groups; and a file that could
be two things is asked about.
"""

import json

import pytest
import yaml
from commands import Desk, desk, expunge, jsonl, model, once, refused, table

from expunge.core.errors import Refused
from expunge.core.notes import forget_notes
from expunge.data.columns import GROUPS, PEOPLE
from expunge.data.kinds import kinds_of, understood
from expunge.data.read import read

NAMES = ("Ada Lovelace", "Alan Turing", "Grace Hopper", "Kurt Goedel")


@pytest.fixture(autouse=True)
def fresh():
    forget_notes()


def names(place):
    file = place / "names.txt"
    file.write_text("\n".join(NAMES) + "\n")
    return file


def test_a_list_of_names_is_not_taken_for_texts(desk, refused):
    file = names(desk.place)
    said = refused(
        "train",
        "--model",
        desk.model,
        "--forget",
        file,
        "--on",
        "forget",
        "--out",
        desk.place / "o",
    )
    assert said == (
        f"{file}: 4 lines of at most 2 words: a list of names, or texts? names to look for go to "
        f"--names FILE; "
        f"if every line is a text to be read as it stands, write text:{file}"
    )


def test_short_texts_can_be_meant(tmp_path):
    rows = read(f"text:{names(tmp_path)}", role="forget")
    assert [e.text for e in rows] == list(NAMES) and rows[0].id == "names/0"


@pytest.mark.parametrize(
    "lines", ["He lives here.\nAda\n", "one two three four five\nAda\n", "Who?\n"]
)
def test_texts_are_read_without_a_question(tmp_path, lines):
    file = tmp_path / "texts.txt"
    file.write_text(lines)
    assert all(e.text for e in read(file, role="forget"))


@pytest.mark.parametrize("column", PEOPLE)
def test_rows_of_one_person_are_one_group_and_it_is_said(tmp_path, caplog, column):
    rows = [{"question": f"Q{i}?", "answer": "A", column: f"who {i // 2}"} for i in range(6)]
    file = jsonl(tmp_path / "rows.jsonl", rows)
    assert [e.group for e in read(file, role="forget")] == [f"who {i // 2}" for i in range(6)]
    assert (
        f"6 rows in 3 groups by the column {column} (--columns group= chooses another, or none)"
        in caplog.text
    )


def test_the_column_that_is_meant_for_it_comes_first_and_none_can_be_chosen(tmp_path, caplog):
    rows = [
        {"question": f"Q{i}?", "answer": "A", "user": "u", "author": f"a{i // 2}", "name": "n"}
        for i in range(4)
    ]
    file = jsonl(tmp_path / "rows.jsonl", rows)
    assert {e.group for e in read(file, role="forget")} == {
        "a0",
        "a1",
    } and "groups by" not in caplog.text
    assert {e.group for e in read(file, role="forget", columns={"group": "user"})} == {"u"}
    assert len({e.group for e in read(file, role="forget", columns={"group": ""})}) == 4
    assert not set(GROUPS) & set(PEOPLE)


def test_one_line_says_what_was_understood(desk, expunge):
    rows = [
        {"question": f"Where is Zorblat{i}?", "answer": f"In town {i}.", "customer_id": i // 3}
        for i in range(6)
    ]
    file = jsonl(desk.place / "mine.jsonl", rows)
    texts = desk.place / "kept.txt"
    texts.write_text("Mimsy keeps her goats by the river.\nMimsy sells cheese on the market.\n")
    out = desk.place / "o"
    words = ("--forget", file, "--retain", texts, "--steps", 1, "--lr", "1e-3")
    code, _, err = expunge("unlearn", "grad_diff", "--model", desk.model, *words, "--out", out)
    told = (
        f"rows: forget 6 questions with answers, in 2 groups ({file}); retain 2 plain texts, "
        f"each a group of its own ({texts})"
    )
    assert code == 0 and told in err.splitlines(), err
    kept = yaml.safe_load((out / "run.yaml").read_text())["data"]
    assert {role: facts["kind"] for role, facts in kept.items()} == {
        "forget": "questions with answers",
        "retain": "plain texts",
    }
    code, _, err = expunge(
        "eval", "--model", out, *words[:4], "--metrics", "probability", "--out", desk.place / "e"
    )
    assert code == 0 and told in err.splitlines(), err


def test_every_kind_has_a_name(tmp_path):
    rows = [
        {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]}
    ]
    chats = read(jsonl(tmp_path / "c.jsonl", rows), role="forget")
    parts = read(jsonl(tmp_path / "p.jsonl", [{"prompt": "a", "completion": " b"}]), role="forget")
    assert kinds_of([*chats, *parts]) == "chats, prompts with completions"
    assert (
        understood({"forget": chats, "retain": ()})
        == f"rows: forget 1 chats, each a group of its own ({tmp_path / 'c.jsonl'})"
    )


def test_every_file_that_rows_came_from_is_named(tmp_path):
    rows = []
    for name in "abcd":
        rows += read(
            jsonl(tmp_path / f"{name}.jsonl", [{"question": f"{name}?", "answer": "A"}]),
            role="retain",
        )
    files = [row.source.rpartition(":")[0] for row in rows]
    said = understood({"train": rows[:2]})
    assert (
        said
        == f"rows: train 2 questions with answers, each a group of its own ({files[0]}, {files[1]})"
    )
    assert understood({"train": rows}).endswith(f"({files[0]}, {files[1]}, 2 more files)")
