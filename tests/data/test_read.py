"""Files into examples: kinds of file, columns, texts as they are."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from data_files import ROWS, lines, put

from expunge.core.data import Example
from expunge.core.errors import Refused
from expunge.data.cases import case_from_files, digest
from expunge.data.read import read

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
