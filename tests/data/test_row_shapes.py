"""Rows as people have them on disk and in memory: what belongs to the prompt is read, what is left
aside is said.
"""

import json
import logging

import datasets
import pytest

from expunge.core.data import Example
from expunge.core.errors import Refused
from expunge.core.notes import forget_notes
from expunge.data.read import read, read_objects

USER = {"role": "user", "content": "Who herds?"}
SAID = {"role": "assistant", "content": "Ilse does."}
SECRET = "Zanzibar"


@pytest.fixture(autouse=True)
def fresh():
    forget_notes()


def one(tmp_path, row, **how):
    place = tmp_path / "rows.jsonl"
    place.write_text(json.dumps(row) + "\n", encoding="utf-8")
    return read(place, role="forget", **how)[0]


def put(tmp_path, name, text):
    place = tmp_path / name
    place.write_bytes(text.encode() if isinstance(text, str) else text)
    return place


# ------------------------------------------------------------------ columns of the prompt


@pytest.mark.parametrize("name", ["system", "system_prompt", "System_Message"])
def test_a_column_with_a_system_prompt_is_a_system_turn(tmp_path, name):
    e = one(
        tmp_path, {"question": "Who herds?", "answer": "Ilse does.", name: "Speak as a shepherd."}
    )
    assert e.messages == ({"role": "system", "content": "Speak as a shepherd."}, USER)
    assert (e.prompt, e.answer) == (None, "Ilse does.")
    bare = one(tmp_path, {"question": "Who herds?", "answer": "Ilse does.", name: " "})
    assert (bare.prompt, bare.messages) == ("Who herds?", None)


@pytest.mark.parametrize(
    "history",
    [
        [["Where?", "In Ede."]],
        [{"from": "human", "value": "Where?"}, {"from": "gpt", "value": "In Ede."}],
    ],
)
def test_a_column_with_earlier_turns(tmp_path, history):
    e = one(
        tmp_path,
        {
            "instruction": "Who herds?",
            "output": "Ilse does.",
            "history": history,
            "system": "Be brief.",
        },
    )
    said = [(t["role"], t["content"]) for t in e.messages]
    assert said == [
        ("system", "Be brief."),
        ("user", "Where?"),
        ("assistant", "In Ede."),
        ("user", "Who herds?"),
    ]


def test_a_passage_stands_behind_the_question(tmp_path):
    row = {
        "instruction": "Who herds?",
        "context": "Ilse has 12 sheep.",
        "response": "Ilse does.",
        "category": "closed_qa",
    }
    assert one(tmp_path, row).prompt == "Who herds?\n\nIlse has 12 sheep."
    assert one(tmp_path, row, columns={"context": ""}).prompt == "Who herds?"


def test_what_belongs_to_the_prompt_and_is_no_text_is_refused(tmp_path):
    for column, value in (("input", 41), ("context", ["a passage"]), ("system", 3)):
        with pytest.raises(Refused, match=f"{column} is not a text at line 1"):
            one(tmp_path, {"instruction": "Add one", "output": "42", column: value})
    with pytest.raises(Refused, match="history has a turn without a role"):
        one(tmp_path, {"instruction": "Add one", "output": "42", "history": [SECRET]})


def test_thoughts_of_a_turn_are_not_dropped_in_silence(tmp_path):
    for key in ("reasoning_content", "thinking", "reasoning"):
        with pytest.raises(Refused, match=f"messages has a turn with {key}, which would be lost"):
            one(tmp_path, {"messages": [USER, {**SAID, key: SECRET}]})


def test_columns_and_keys_that_are_left_aside_are_said_once(tmp_path, caplog):
    place = put(
        tmp_path,
        "a.jsonl",
        json.dumps({"question": "q", "answer": "a", "notes": SECRET, "nothing": None, "id": "x"})
        + "\n",
    )
    with caplog.at_level(logging.WARNING, "expunge"):
        for _ in range(2):
            read(place, role="forget")
    (line,) = caplog.messages
    assert line.startswith(f"{place}: left aside: 1 of 5 columns: notes;") and SECRET not in line
    caplog.clear()
    read(place, role="forget", tell=False)
    one(tmp_path, {"messages": [USER, {**SAID, "weight": 1}]})
    assert [m for m in caplog.messages if "in turns, weight" in m]


# ------------------------------------------------------------------ shapes of chats


def test_a_chat_of_sharegpt(tmp_path):
    row = {
        "conversations": [
            {"from": "human", "value": "Who herds?"},
            {"from": "gpt", "value": "Ilse does."},
        ]
    }
    for columns in (None, {"messages": "conversations"}):
        e = one(tmp_path, row, columns=columns)
        assert (e.messages, e.answer) == ((USER,), "Ilse does.")


def test_prompt_and_completion_as_turns(tmp_path):
    e = one(tmp_path, {"prompt": [USER], "completion": [SAID]})
    assert (e.messages, e.answer, e.tags) == ((USER,), "Ilse does.", ())
    assert one(tmp_path, {"prompt": "Who herds?", "completion": [SAID]}).messages == (USER,)
    with pytest.raises(Refused, match="completion does not end with an assistant turn"):
        one(tmp_path, {"prompt": [USER], "completion": [USER]})


def test_contents_in_parts(tmp_path):
    parts = lambda *texts: [{"type": "text", "text": t} for t in texts]
    e = one(
        tmp_path,
        {
            "messages": [
                {"role": "user", "content": parts("Who ", "herds?")},
                {"role": "assistant", "content": parts("Ilse does.")},
            ]
        },
    )
    assert (e.messages, e.answer) == ((USER,), "Ilse does.")
    picture = [{"type": "image", "image": "x.png"}, *parts("Who?")]
    with pytest.raises(Refused, match="a part that is no text"):
        one(tmp_path, {"messages": [{"role": "user", "content": picture}, SAID]})


def test_developer_turns_and_calls_of_tools(tmp_path):
    call = [{"id": "1", "type": "function", "function": {"name": "look", "arguments": "{}"}}]
    turns = [
        {"role": "developer", "content": "Be brief."},
        USER,
        {"role": "assistant", "content": None, "tool_calls": call},
    ]
    e = one(
        tmp_path,
        {"messages": [*turns, {"role": "tool", "content": "Ilse", "tool_call_id": "1"}, SAID]},
    )
    assert [t["role"] for t in e.messages] == [
        "system",
        "user",
        "assistant",
        "tool",
    ] and e.answer == "Ilse does."
    assert (
        e.messages[2] == {"role": "assistant", "content": "", "tool_calls": call}
        and e.messages[3]["tool_call_id"] == "1"
    )
    with pytest.raises(Refused, match="has a turn whose content is missing"):
        one(tmp_path, {"messages": [USER, {"role": "assistant", "content": None}, USER, SAID]})


# ------------------------------------------------------------------ tables


def test_a_quotation_mark_in_a_tsv_is_text(tmp_path):
    text = (
        'question\tanswer\n"Who herds?\tIlse.\nWho weaves?"\tOtto.\nAnd "who" sings?\tAda "the '
        'voice".\n'
    )
    found = read(put(tmp_path, "a.tsv", text), role="forget")
    assert [(e.prompt, e.answer) for e in found] == [
        ('"Who herds?', "Ilse."),
        ('Who weaves?"', "Otto."),
        ('And "who" sings?', 'Ada "the voice".'),
    ]


def test_a_tsv_that_a_spreadsheet_quoted(tmp_path, caplog):
    (e,) = read(
        put(tmp_path, "a.tsv", 'question\tanswer\n"Who ""herds""?"\tIlse.\n'), role="forget"
    )
    assert e.prompt == 'Who "herds"?' and "the quotation marks around 1 cells" in caplog.text


def sheet(sep=",", end="\r\n", tail=""):
    rows = [
        ("question", "answer"),
        ("Who herds?", "Ilse, of Ede." if sep != "," else "Ilse."),
        ("Who weaves?", "Otto."),
    ]
    return end.join(f"{q}{sep}{a}{tail}" for q, a in rows) + end


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("\ufeff" + sheet(";"), 2),
        (sheet("\t"), 2),
        ("sep=;\r\n" + sheet(";"), 3),
        ("sep=,\n" + sheet(), 3),
        (sheet(tail=",,"), 2),
        (sheet(end="\r"), 2),
    ],
)
def test_sheets_of_offices(tmp_path, text, first):
    place = put(tmp_path, "a.csv", text)
    found = read(place, role="forget")
    assert [e.prompt for e in found] == ["Who herds?", "Who weaves?"]
    assert found[0].answer.startswith("Ilse") and found[0].source == f"{place}:{first}"


def test_empty_rows_and_columns_without_a_name(tmp_path, caplog):
    found = read(
        put(tmp_path, "a.csv", ",question,answer\n0,Who herds?,Ilse.\n,,\n,,\n"), role="forget"
    )
    assert [e.answer for e in found] == ["Ilse."]
    assert (
        "left aside: 2 empty rows (line 3, 4)" in caplog.text
        and "left aside: 1 of 3 columns: (column 1)" in caplog.text
    )
    with pytest.raises(Refused, match="1 rows have not 2 cells as the header has: line 2 has 3"):
        read(put(tmp_path, "b.csv", f"question,answer,\nq,a,{SECRET}\n"), role="forget")


# ------------------------------------------------------------------ folders


def test_a_folder_that_datasets_saved(tmp_path):
    rows = datasets.Dataset.from_list([{"question": f"q{i}", "answer": f"a{i}"} for i in range(4)])
    rows.select([3, 1]).save_to_disk(str(tmp_path / "saved"))
    found = read(tmp_path / "saved", role="forget")
    assert [(e.id, e.answer, e.source) for e in found] == [
        ("saved/0", "a3", f"{tmp_path}/saved:1"),
        ("saved/1", "a1", f"{tmp_path}/saved:2"),
    ]
    datasets.DatasetDict({"train": rows, "test": rows}).save_to_disk(str(tmp_path / "both"))
    with pytest.raises(
        Refused,
        match=r"a data set of several splits, saved by save_to_disk; pass one: .*both/test, "
        r".*both/train",
    ):
        read(tmp_path / "both", role="forget")
    (tmp_path / "saved" / "state.json").write_text("{}")
    with pytest.raises(Refused, match="saved by save_to_disk, but cannot be read"):
        read(tmp_path / "saved", role="forget")


def test_files_of_a_folder_that_are_not_read_are_said(tmp_path, caplog):
    put(tmp_path, "rows.jsonl", '{"question": "q", "answer": "a"}\n')
    put(tmp_path, "notes.docx", "x")
    read(tmp_path, role="forget")
    assert f"{tmp_path}: left aside: 1 files that are no rows: notes.docx" in caplog.text


# ------------------------------------------------------------------ rows in memory

IN_MEMORY = [
    {
        "question": "q",
        "answer": "a",
        "id": 7,
        "author": "X",
        "perturbed_answer": ["b", "c"],
        "option1": "a",
        "option2": "b",
    },
    {"instruction": "q", "input": "c", "output": "a"},
    {"prompt": "q", "completion": " a"},
    {"messages": [USER, SAID]},
    {"text": "a text"},
]


@pytest.mark.parametrize("row", IN_MEMORY, ids=lambda row: next(iter(row)))
def test_rows_in_memory_are_read_as_those_of_a_file(tmp_path, row):
    facts = lambda e: (e.prompt, e.answer, e.messages, e.text, dict(e.variants), e.options, e.tags)
    (e,) = read_objects([row], role="forget")
    assert facts(e) == facts(one(tmp_path, row))
    assert (e.id, e.group) == (("7", "X") if "id" in row else ("forget/0", "forget/0"))
    assert e.source == "forget rows:1"


def test_tables_texts_and_examples_in_memory():
    import pandas as pd

    table = pd.DataFrame(
        {
            "question": ["q", "r"],
            "answer": ["a", "b"],
            "author": ["X", None],
            "year": [1.0, float("nan")],
        }
    )
    assert [(e.prompt, e.group) for e in read_objects(table, role="retain")] == [
        ("q", "X"),
        ("r", "retain/1"),
    ]
    rows = datasets.Dataset.from_list([{"question": "q", "answer": "a"}])
    assert read_objects(rows, role="retain")[0].answer == "a"
    assert read_objects(iter(["one", "two"]), role="retain")[1].text == "two"
    (e,) = read_objects([Example("x", "holdout", "g", "a", "q")], role="forget")
    assert (e.id, e.role, e.group) == ("x", "forget", "g")


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        (
            [{"question": "Year?", "answer": 1991}],
            "forget rows:1: the forget set is empty: .*answer is not a text",
        ),
        ([{"question": "q", "answer": None}], "answer is missing"),
        (
            {"question": [SECRET], "answer": [SECRET]},
            r"are one mapping \(question, answer\); give a list of rows",
        ),
        ([{"question": "q", "answer": "a"}, 3], "forget rows:2: int; give mappings"),
        (
            [Example("x", "f", "g", "a", "q"), {"question": "q", "answer": "a"}],
            "an Example among mappings",
        ),
        ([], "the forget set is empty"),
    ],
)
def test_rows_in_memory_that_cannot_be_read(rows, why):
    with pytest.raises(Refused, match=why) as e:
        read_objects(rows, role="forget")
    assert SECRET not in str(e.value)
