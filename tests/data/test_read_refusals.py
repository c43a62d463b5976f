"""What cannot be read is refused by its place, never with a text of the data."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from data_files import ROWS, SECRET, lines, put, refused

from expunge.data import files
from expunge.data.read import read


def test_missing_files(tmp_path):
    put(tmp_path, "forget.jsonl", lines())
    refused(tmp_path / "forgot.jsonl", "forgot.jsonl: no such file; did you mean", "forget.jsonl?")
    refused(tmp_path / "there" / "x.jsonl", "no such file, and no folder", "there")
    refused(tmp_path / "zzz", "pass a file or folder that exists")
    refused("locuslab/TOFU", "for the data set of that name on the hub write hub:locuslab/TOFU")
    refused(
        put(tmp_path, "x/a.xlsx", "x"),
        "a.xlsx: files of type .xlsx are not read; convert it to one of .jsonl",
    )
    refused(tmp_path / "x", "no data files in this folder; it may hold .jsonl")
    refused("a" * 5000, "pass a file, a folder or hub:")


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.csv", "a.txt", "a.jsonl.gz"])
@pytest.mark.parametrize("text", ["", "\n \n"])
def test_empty_sets(tmp_path, name, text):
    if name == "a.csv" and text:
        text = "question,answer\n"
    place = put(tmp_path, name, text)
    refused(place, f"the forget set is empty ({place}: 0 usable rows of 0)")


def test_empty_array(tmp_path):
    refused(put(tmp_path, "a.json", " [ ] \n"), "the forget set is empty")


def test_malformed_lines(tmp_path):
    bad = [
        f"{{{SECRET}",
        lines()[:-1].split("\n")[0],
        f'["{SECRET}"]',
        f'{{"question": "{SECRET}" x}}',
        "[" * 100_000,
        "1" * 6000,
    ]
    place = put(tmp_path, "a.jsonl", "\n".join(bad))
    refused(
        place,
        f"{place}:1: 5 of 6 lines are not JSON objects: line 1 column 2, line 3 column 1, line 4 "
        f"column",
        "line 5 column 1, line 6 column 1; mend",
    )
    many = put(tmp_path, "b.jsonl", lines() + f"{SECRET}\n" * 15)
    said = refused(many, f"{many}:4: 15 of 18 lines", "line 13 column 1 and 5 more")
    assert "line 14 " not in said


def test_malformed_arrays(tmp_path):
    refused(
        put(tmp_path, "a.json", '[{"question": "q",\n "answer": "a"},\n {"question" "q"}]'),
        "a.json:3: not JSON at column 14",
    )
    refused(
        put(tmp_path, "b.json", '[{"text": "q"}\n {"text": "q"}]'),
        "b.json:1: not JSON at column 15",
    )
    refused(put(tmp_path, "c.json", '[{"text": "q"},]'), "c.json:1: not JSON")
    refused(put(tmp_path, "d.json", '[{"text": "q"}] x'), "d.json:1: not JSON")
    refused(
        put(tmp_path, "e.json", '[{"text": "q"},\n 3]'), "e.json:2: this element is not an object"
    )
    refused(
        put(tmp_path, "f.json", '{"train": [\n{"text": "q"}]}'),
        "f.json:1: one JSON object where rows are expected",
    )
    refused(put(tmp_path, "g.json", "[[[[" * 50_000), "g.json:1:")


def test_missing_and_ambiguous_columns(tmp_path):
    place = put(tmp_path, "a.jsonl", lines([{"frage": SECRET, "labels": SECRET}]))
    refused(
        place,
        f"{place}: needs question and answer",
        "found frage, labels",
        "--columns prompt=COLUMN,answer=COLUMN",
    )
    place = put(tmp_path, "b.jsonl", lines([dict(ROWS[0], text=SECRET)]))
    refused(
        place,
        f"{place}: the columns can be read in 2 ways (question and answer or text)",
        "--columns prompt=COLUMN",
    )
    place = put(tmp_path, "c.jsonl", lines([{"prompt": "p", "completion": "c", "response": "r"}]))
    refused(place, "2 ways (prompt and completion or prompt and response)")
    refused(
        put(tmp_path, "d.csv", f"Where is {SECRET}?,Far away.\nq,a\n"),
        "found (column 1), (column 2)",
    )
    place = put(tmp_path, "e.jsonl", lines())
    refused(
        place, "--columns takes no 'promt'; did you mean prompt?", columns={"promt": "question"}
    )
    refused(
        place,
        "--columns prompt= names a column that is not there; found question, answer",
        columns={"prompt": "frage"},
    )
    refused(
        place,
        "--columns names prompt, text at once",
        columns={"prompt": "question", "text": "answer"},
    )
    place = put(tmp_path, "f.jsonl", lines([{"frage": "q", "labels": "a"}]))
    refused(
        place,
        "which column is the answer? found frage, labels; add answer=COLUMN to --columns",
        columns={"prompt": "frage"},
    )


def test_cells_that_are_no_text(tmp_path):
    rows = [
        ROWS[0],
        {"question": None, "answer": SECRET},
        {"answer": SECRET},
        {"question": 7, "answer": SECRET},
        {"question": SECRET, "answer": " "},
    ]
    rows += [
        {"question": SECRET, "answer": f"{SECRET}\ud800"},
        {"question": SECRET, "answer": f"{SECRET}\0"},
    ]
    place = put(tmp_path, "a.jsonl", lines(rows))
    refused(
        place,
        f"{place}:2: 1 usable rows of 7: question is missing at line 2, 3; question is not a text "
        f"at line 4; answer is empty at line 5",
    )
    refused(
        place,
        "answer is not valid Unicode (half of a surrogate pair) at line 6; answer holds a NUL "
        "character at line 7; fill or remove",
    )
    place = put(tmp_path, "b.jsonl", lines([{"question": "q", "answer": ""}] * 12))
    refused(
        place,
        f"{place}:1: the forget set is empty: 0 usable rows of 12: answer is empty at line 1, 2",
        "10 and 2 more; fill or remove these rows",
    )
    refused(
        put(tmp_path, "c.jsonl", lines([dict(ROWS[0], perturbed_answer=["x", 3])])),
        "c.jsonl:1:",
        "perturbed_answer is not a text at line 1",
    )


@pytest.mark.parametrize(
    ("turns", "why"),
    [
        (SECRET, "is not a list of turns"),
        ([{"from": "x", "value": SECRET}], "has a turn without a role"),
        ([{"role": "user", "content": None}], "has a turn whose content is missing"),
        ([{"role": "user", "content": [SECRET]}], "has a turn whose content is not a text"),
        ([{"role": "user", "content": SECRET}], "does not end with an assistant turn"),
        ([{"role": "assistant", "content": SECRET}], "has no user turn"),
    ],
)
def test_chats_that_end_in_no_answer(tmp_path, turns, why):
    refused(
        put(tmp_path, "a.jsonl", lines([{"messages": turns}])),
        "a.jsonl:1:",
        f"messages {why}",
        "at line 1;",
    )


def test_ids(tmp_path):
    place = put(
        tmp_path, "a.jsonl", lines([dict(r, id=f"{SECRET} {i % 2}") for i, r in enumerate(ROWS)])
    )
    refused(place, f"{place}:3: the same id as {place}:1; ids must differ")
    place = put(tmp_path, "b.jsonl", lines([dict(ROWS[0], id=1), dict(ROWS[1], id=None)]))
    refused(place, f"{place}:2: the id is missing")


def test_bytes_that_are_no_text(tmp_path):
    refused(
        put(tmp_path, "a.jsonl", lines().encode() + b'{"text": "\xe9"}\n'),
        "a.jsonl:4: not UTF-8 at byte",
        "save the file as UTF-8",
    )
    at = len(lines().encode()) + 3
    refused(
        put(tmp_path, "b.jsonl", b"\xef\xbb\xbf" + lines().encode() + b"\xff"),
        f"b.jsonl:4: not UTF-8 at byte {at}",
    )
    refused(put(tmp_path, "c.jsonl", lines() + "\0"), f"c.jsonl:4: a NUL byte at byte {at - 3}")
    refused(
        put(tmp_path, "d.csv", lines().encode("utf-16")),
        "d.csv:1: a NUL byte at byte 3",
        "UTF-16 is not read",
    )


def test_rows_too_long(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "LONGEST_ROW", 1 << 20)
    refused(
        put(tmp_path, "a.jsonl", lines() + SECRET * 200_000),
        "a.jsonl:4: a row of more than 1 Mi characters; split it",
    )


@pytest.mark.parametrize("end", ["", "\r"])
def test_csv_with_ragged_rows(tmp_path, end):
    text = f"question,answer\nq,a\n{SECRET}\nq,a,{SECRET}\n".replace("\n", f"{end}\n")
    place = put(tmp_path, "a.csv", text)
    refused(
        place,
        f"{place}:3: 2 rows have not 2 cells as the header has: line 3 has 1, line 4 has 3; mend "
        f"them",
    )
    refused(
        put(tmp_path, "b.csv", f'question,answer\nq,a\nq,"{SECRET}\nq,a\n'),
        "b.csv:3: this row is not csv (an open or misplaced quote?)",
    )
    refused(put(tmp_path, "c.csv", "answer,answer\nq,a\n"), "c.csv:1: two columns bear one name")


def test_a_cell_longer_than_the_csv_module_likes(tmp_path):
    assert (
        len(read(put(tmp_path, "a.csv", f"text\n{'x' * 300_000}\n"), role="r")[0].text) == 300_000
    )


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.csv.gz", "a.parquet.gz"])
def test_a_gz_file_that_is_cut_off(tmp_path, name):
    place = put(tmp_path, name, lines(ROWS * 100))
    place.write_bytes(place.read_bytes()[:-30])
    refused(place, f"{place}:", "the gz file is cut off or damaged", "copy it again")
    refused(
        put(tmp_path, "b.jsonl", lines()).rename(tmp_path / f"not-{name}"),
        "cut off or damaged about here (BadGzipFile)",
    )


def test_a_parquet_file_that_is_cut_off(tmp_path):
    place = tmp_path / "a.parquet"
    pq.write_table(pa.Table.from_pylist(ROWS), place)
    place.write_bytes(place.read_bytes()[:-20])
    refused(place, f"{place}:1: not a whole parquet file; copy it again")
