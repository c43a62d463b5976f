"""Files of every kind become Examples with their line; what is wrong with one is a single line that
quotes no data.
"""

import gzip
import json

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from expunge.core.data import Example
from expunge.core.errors import Refused
from expunge.data import files
from expunge.data.cases import case_from_files, digest
from expunge.data.folders import benchmark_rows
from expunge.data.read import read

SECRET = "Zanzibar"
ROWS = [{"question": f"Q{i} {SECRET}?", "answer": f"A{i} {SECRET}"} for i in range(3)]


def put(folder, name, text):
    """A file of this text (or these bytes), packed if it ends in .gz."""
    data = text.encode() if isinstance(text, str) else text
    place = folder / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return place


def lines(rows=ROWS):
    return "".join(json.dumps(r) + "\n" for r in rows)


def refused(source, *parts, **how):
    """Reading is refused in one line that has all ``parts`` and no data."""
    with pytest.raises(Refused) as e:
        read(source, role="forget", **how)
    said = str(e.value)
    assert "\n" not in said and SECRET not in said, said
    for part in parts:
        assert part in said, said
    return said


# ------------------------------------------------------------------ what can be read

CSV = "question,answer\r\n" + "".join(f'"{r["question"]}",{r["answer"]}\r\n' for r in ROWS)


@pytest.mark.parametrize("pack", ["", ".gz"])
@pytest.mark.parametrize(
    ("name", "text", "first"),
    [
        ("a.jsonl", lines(), 1),
        ("a.jsonl", "\ufeff" + lines().replace("\n", "\r\n\r\n"), 1),
        ("a.json", lines(), 1),
        ("a.json", json.dumps(ROWS, indent=1), 2),
        ("a.json", json.dumps(ROWS), 1),
        ("a.csv", CSV, 2),
        ("a.tsv", CSV.replace(",", "\t"), 2),
    ],
)
def test_kinds_of_file(tmp_path, name, text, first, pack):
    place = put(tmp_path, name + pack, text)
    found = read(place, role="forget")
    assert [(e.prompt, e.answer) for e in found] == [(r["question"], r["answer"]) for r in ROWS]
    assert found[0].source == f"{place}:{first}"
    assert [e.id for e in found] == [e.group for e in found] == ["a/0", "a/1", "a/2"]
    assert found[0].role == "forget"


def test_lines_are_right_in_every_kind(tmp_path):
    number = lambda name, text: [
        int(e.source.rsplit(":", 1)[1]) for e in read(put(tmp_path, name, text), role="r")
    ]
    assert number("a.jsonl", "\n" + lines().replace("\n", "\n\n")) == [2, 4, 6]
    assert number("a.json", json.dumps(ROWS, indent=2)) == [2, 6, 10]
    assert number("a.csv", 'question,answer\n"one\ntwo",x\nq,"y\n\nz"\n\nq,a\n') == [2, 4, 8]
    assert number("a.txt", "one\n\ntwo\u2028still two\x0cand here\nthree") == [1, 3, 4]


def test_text_stays_as_it_is(tmp_path):
    odd = " e\u0301 é\u2028x\u0085y\x0cz \r\n w "
    assert (
        read(put(tmp_path, "a.jsonl", json.dumps({"text": odd}, ensure_ascii=False)), role="r")[
            0
        ].text
        == odd
    )
    assert read(put(tmp_path, "a.csv", f'question,answer\nq,"{odd}"\n'), role="r")[0].answer == odd


def test_parquet_and_folder(tmp_path):
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "b.parquet")
    put(tmp_path, "part/a.jsonl", lines())
    put(tmp_path, "b.jsonl.gz", lines())
    put(tmp_path, "README.md", "not data")
    put(tmp_path, ".hidden/x.jsonl", "not data")
    found = read(tmp_path, role="r")
    assert [e.id for e in found[::3]] == ["b.jsonl.gz/0", "b.parquet/0", "part/a/0"]
    assert found[3].source == f"{tmp_path / 'b.parquet'}:1"
    assert len({e.id for e in read(tmp_path, role="r", id_prefix="p")}) == 9


@pytest.mark.parametrize(
    ("row", "prompt", "answer"),
    [
        ({"question": "q", "answer": "a"}, "q", "a"),
        ({"Question": "q", "Answer": "a", "notes": "n"}, "q", "a"),
        ({"prompt": "q", "completion": "a"}, "q", "a"),
        ({"prompt": "q", "response": "a"}, "q", "a"),
        ({"prompt": "q", "answer": "a"}, "q", "a"),
        ({"instruction": "q", "output": "a"}, "q", "a"),
        ({"instruction": "q", "input": "c", "output": "a"}, "q\n\nc", "a"),
        ({"instruction": "q", "input": "", "output": "a"}, "q", "a"),
        ({"query": "q", "response": "a"}, "q", "a"),
        ({"input": "q", "output": "a"}, "q", "a"),
    ],
)
def test_usual_columns(tmp_path, row, prompt, answer):
    e = read(put(tmp_path, "a.jsonl", lines([row])), role="r")[0]
    assert (e.prompt, e.answer, e.text, e.messages) == (prompt, answer, None, None)
    assert e.tags == (("completion",) if "completion" in row else ())


def test_messages_and_text(tmp_path):
    turns = [
        {"role": "system", "content": ""},
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": "a"},
    ]
    e = read(put(tmp_path, "a.jsonl", lines([{"messages": turns}])), role="r")[0]
    assert e.messages == tuple(turns[:2]) and e.answer == "a" and e.prompt is None
    assert read(put(tmp_path, "b.json", '["one", "two"]'), role="r")[1].text == "two"


def test_extra_columns(tmp_path):
    row = dict(
        ROWS[0],
        id=7,
        author="X",
        paraphrased_answer="p",
        perturbed_answer=["w", "v"],
        paraphrased_question="pq",
        option2="b",
        option1="a",
    )
    e = read(put(tmp_path, "a.jsonl", lines([row])), role="r")[0]
    assert dict(e.variants) == {
        "paraphrase": "p",
        "perturbed/0": "w",
        "perturbed/1": "v",
        "question/paraphrase": "pq",
    }
    assert (e.id, e.group, e.options) == ("7", "X", ("a", "b"))
    bare = read(
        put(
            tmp_path,
            "b.jsonl",
            lines([dict(ROWS[0], id="z", paraphrased_answer=None, perturbed_answer=[])]),
        ),
        role="r",
    )[0]
    assert (bare.id, bare.group, dict(bare.variants)) == ("z", "z", {})


def test_columns_given_by_the_user(tmp_path):
    place = put(tmp_path, "a.csv", "frage,answer,who,nr\nq,a,X,1\n")
    e = read(place, role="r", columns={"prompt": "frage", "group": "who", "id": "nr"})[0]
    assert (e.prompt, e.answer, e.group, e.id) == ("q", "a", "X", "1")
    both = put(
        tmp_path, "b.jsonl", lines([{"text": "t", "labels": "l", "question": "q", "answer": "a"}])
    )
    assert read(both, role="r", columns={"prompt": "text", "answer": "labels"})[0].answer == "l"
    assert read(both, role="r", columns={"text": "text"})[0].text == "t"


# ------------------------------------------------------------------ what is refused


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


# ------------------------------------------------------------------ the hub


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """``load_dataset`` finds "someone/rows" in a local folder of the hub's layout; nothing else
    exists.
    """
    place = tmp_path / "hub"
    configs = "".join(
        f"- config_name: {c}\n  data_files:\n  - split: {s}\n    path: {c}.json\n"
        for c, s in (("one", "train"), ("two", "test"))
    )
    put(place, "README.md", f"---\nconfigs:\n{configs}---\n")
    put(place, "one.json", lines())
    put(place, "two.json", lines(ROWS[:2]))
    monkeypatch.setenv("HF_TOKEN", SECRET)
    local = lambda repo: str(place) if repo == "someone/rows" else repo
    load, names = datasets.load_dataset, datasets.get_dataset_config_names
    monkeypatch.setattr(
        datasets,
        "load_dataset",
        lambda repo, *a, **k: load(local(repo), *a, cache_dir=str(tmp_path / "cache"), **k),
    )
    monkeypatch.setattr(datasets, "get_dataset_config_names", lambda repo: names(local(repo)))
    return place


def test_rows_of_the_hub(hub):
    found = read("hub:someone/rows:one@train", role="r")
    assert [e.answer for e in found] == [r["answer"] for r in ROWS]
    assert (
        found[1].source == "hub:someone/rows:one@train:2"
        and found[1].id == "someone/rows/one/train/1"
    )
    assert len(read("hub:someone/rows:two", role="r")) == 2
    assert len(read("hub:someone/rows:one@train[:2]", role="r")) == 2


def test_hub_refusals(hub, capfd):
    refused("hub:someone/rows:too@train", "no config 'too' in this data set; did you mean two?")
    refused("hub:someone/rows:one@test", "no such split or config; configs are one, two")
    refused(
        "hub:someone/else:one",
        "hub:someone/else:one: not in the local cache",
        "pass a path, or set HF_TOKEN",
    )
    refused("hub:rows", "write hub:owner/name")
    with pytest.raises(
        Refused,
        match=r"the path goes into --data \(or EXPUNGE_DATA\): a folder that holds tofu/full.json",
    ):
        benchmark_rows("full", data="", folder="tofu", hub="someone/else", role="r", id_prefix="p")
    assert SECRET not in "".join(capfd.readouterr())


# ------------------------------------------------------------------ cases and digests


def test_a_case_of_files(tmp_path):
    forget, retain = (
        put(tmp_path, "f/mine.jsonl", lines()),
        put(tmp_path, "r/mine.csv", "question,answer\nq,a\n"),
    )
    case = case_from_files(forget, retain, put(tmp_path, "h.jsonl", lines([{"text": "t"}])))
    assert {k: [e.id for e in v] for k, v in case.train.items()} == {
        "forget": [f"forget/mine/{i}" for i in range(3)],
        "retain": ["retain/mine/0"],
    }
    assert (
        list(case.evaluate) == ["forget", "retain", "holdout"]
        and case.evaluate["forget"] is case.train["forget"]
    )
    assert list(case_from_files(retain=retain).train) == ["retain"]
    with pytest.raises(Refused, match="give --forget FILE, --retain FILE or both"):
        case_from_files(holdout=retain)
    with pytest.raises(Refused, match=r"f.mine.jsonl:1: 3 holdout rows are also trained on"):
        case_from_files(forget, holdout=forget)


def test_digest():
    e = Example("a", "forget", "g", "x", prompt="q", source="f:1")
    assert digest([e]) == digest([Example("a", "forget", "g", "x", prompt="q", source="other:9")])
    assert (
        len(
            {
                digest([e]),
                digest([e], salt="s"),
                digest([e], salt="t"),
                digest([e, e]),
                digest([]),
                digest([Example("a", "forget", "g", "x", text="q")]),
            }
        )
        == 6
    )
