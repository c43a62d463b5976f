# ruff: noqa: F401, F811 (fixtures are imported by name)
"""Requests and data that are wrong: one clear line, exit code 2, nothing lost and nothing
half-written.
"""

import gzip
import json
import shutil

import pytest
from commands import desk, expunge, facts, files, jsonl, model, refused, table


def says(line, *parts):
    """The line holds every part."""
    missing = [p for p in map(str, parts) if p not in line]
    assert not missing, f"{missing} not in: {line}"


# ------------------------------------------------------------------ files and rows


def test_a_missing_file(desk, refused):
    out = desk.place / "out"
    words = desk.unlearn("npo", out)
    words[words.index(str(desk.forget))] = str(desk.place / "forgot.jsonl")
    says(refused(*words), "forgot.jsonl: no such file", "did you mean", "forget.jsonl")
    assert not out.exists()


def test_an_empty_forget_set(desk, refused):
    desk.forget.write_text("")
    says(
        refused(*desk.unlearn("npo", desk.place / "out")), "the forget set is empty", "forget.jsonl"
    )
    desk.forget.write_text("\n\n  \n")
    says(refused(*desk.unlearn("npo", desk.place / "out")), "the forget set is empty")
    jsonl(desk.forget, [("", "Zorblat"), (None, "Zorblat")])
    says(
        refused(*desk.unlearn("npo", desk.place / "out")),
        "forget set is empty",
        "0 usable rows of 2",
        "forget.jsonl:1",
    )
    assert not (desk.place / "out").exists()


def test_a_malformed_line_of_a_jsonl(desk, refused):
    lines = desk.forget.read_text().splitlines()
    lines[2] = lines[2][:30]
    lines[4] = "[1, 2]"
    desk.forget.write_text("\n".join(lines))
    says(
        refused(*desk.unlearn("npo", desk.place / "out")),
        "forget.jsonl:3",
        "2 of 6 lines",
        "line 3",
        "line 5",
    )
    assert not (desk.place / "out").exists()


def test_columns_missing_or_ambiguous(desk, refused):
    jsonl(desk.forget, [{"frage": q, "antwort": a} for q, a in facts("Zorblat", 2)])
    says(
        refused(*desk.unlearn("npo", desk.place / "out")),
        "forget.jsonl",
        "frage, antwort",
        "--columns prompt=",
    )
    jsonl(desk.forget, [{"question": q, "answer": a, "text": a} for q, a in facts("Zorblat", 2)])
    says(refused(*desk.unlearn("npo", desk.place / "out")), "forget.jsonl", "2 ways", "--columns")
    says(
        refused(*desk.unlearn("npo", desk.place / "out", "--columns", "prompt=fragen")),
        "not there",
        "--columns",
    )
    says(
        refused(*desk.unlearn("npo", desk.place / "out", "--columns", "promt=question")),
        "promt",
        "did you mean prompt?",
    )
    says(
        refused(*desk.unlearn("npo", desk.place / "out", "--columns", "question")),
        "--columns",
        "prompt=",
    )
    assert not (desk.place / "out").exists()


@pytest.mark.parametrize(
    "data, what",
    [
        ("Zorblat \xff".encode("latin-1"), "not UTF-8"),
        ("Zorblat".encode("utf-16"), "NUL"),
        (b"\x00" * 9, "NUL"),
    ],
)
def test_bytes_that_are_no_utf8(desk, refused, data, what):
    desk.forget.write_bytes(b'{"question": "a", "answer": "b"}\n' + data)
    says(
        refused(*desk.unlearn("npo", desk.place / "out")),
        "forget.jsonl:2",
        what,
        "byte",
        "save the file as UTF-8",
    )
    assert not (desk.place / "out").exists()


def test_a_gz_file_that_is_cut_off(desk, refused):
    cut = desk.place / "cut.jsonl.gz"
    cut.write_bytes(gzip.compress(desk.forget.read_bytes())[:-20])
    desk.forget = cut
    says(refused(*desk.unlearn("npo", desk.place / "out")), "cut.jsonl.gz", "cut off or damaged")


def test_answers_that_the_longest_row_would_cut(desk, refused):
    out = desk.place / "out"
    says(
        refused(*desk.unlearn("npo", out, "--max-length", "12")),
        "forget.jsonl:1",
        "--max-length 12 would cut",
        "raise it to",
    )
    assert not out.exists()


def test_an_answer_of_no_token(desk, refused):
    for nothing in ("", "   ", "\u00a0\u2003\n"):
        jsonl(desk.forget, [*facts("Zorblat", 2), ("Where does Zorblat9 dwell?", nothing)])
        says(refused(*desk.unlearn("npo", desk.place / "out")), "forget.jsonl:3", "empty")
    assert not (desk.place / "out").exists()


# ------------------------------------------------------------------ overlap


def both(desk):
    """Two forget rows stand in retain as well, one of them in another Unicode form."""
    first, second = facts("Zorblat", 2)
    jsonl(desk.forget, [(first[0], first[1] + " Caf\u00e9"), second, *facts("Zorblat", 3, first=2)])
    table(desk.retain, [*facts("Mimsy", 4), (first[0], first[1] + " Cafe\u0301"), second])


def test_forget_rows_that_also_stand_in_retain(desk, refused, expunge):
    both(desk)
    out = desk.place / "out"
    line = refused(*desk.unlearn("grad_diff", out))
    says(
        line,
        "2 retain rows are also forget rows",
        "forget.jsonl:1 = ",
        "retain.csv:6",
        "retain.csv:7",
        "--allow-overlap drop",
        "--allow-overlap keep",
    )
    assert not out.exists()
    assert expunge(*desk.unlearn("grad_diff", out, "--allow-overlap", "drop"))[0] == 0
    assert '"n": 4' in json.dumps(run_of(out)["data"]["retain"])
    assert (
        expunge(*desk.unlearn("grad_diff", desk.place / "kept", "--allow-overlap", "keep"))[0] == 0
    )
    assert run_of(desk.place / "kept")["data"]["retain"]["n"] == 6
    says(
        refused(*desk.unlearn("grad_diff", desk.place / "x", "--allow-overlap", "dorp")),
        "did you mean drop?",
    )


def test_holdout_rows_that_are_trained_on(desk, refused):
    shutil.copy(desk.forget, desk.holdout)
    says(
        refused(
            "eval",
            "--model",
            desk.model,
            *desk.data("forget", "holdout"),
            "--out",
            desk.place / "e",
        ),
        "6 holdout rows are also trained on",
    )
    assert not (desk.place / "e").exists()


def run_of(out):
    import yaml

    return yaml.safe_load((out / "run.yaml").read_text())


# ------------------------------------------------------------------ names


@pytest.mark.parametrize(
    "words, parts",
    [
        (["unlearn", "npoo"], ["no method 'npoo'", "did you mean npo?"]),
        (["unlearn", "npo", "--betta", "1"], ["--betta", "did you mean --beta?"]),
        (["unlearn", "npo", "--stepz", "1"], ["--stepz", "did you mean --steps?"]),
        (["unlearn", "npo", "--beta"], ["--beta needs a value"]),
        (["unlearn", "npo", "word"], ["'word'", "--beta"]),
        (["unlearn"], ["which method?", "expunge list methods"]),
        (["unlearn", "npo"], ["which model?", "--model"]),
        (["unlearn", "npo", "--model", "M"], ["which data?", "--benchmark", "--forget"]),
        (
            ["unlearn", "npo", "--model", "M", "--forget", "F", "--benchmark", "builtin"],
            ["either --benchmark or --forget"],
        ),
        (
            [
                "unlearn",
                "npo",
                "--model",
                "M",
                "--forget",
                "F",
                "--retain",
                "R",
                "--preset",
                "tofy",
                "--out",
                "O",
            ],
            ["preset", "did you mean tofu?"],
        ),
        (
            ["unlearn", "npo", "--model", "M", "--forget", "F", "--retain", "R"],
            ["where to?", "--out"],
        ),
        (
            ["unlearn", "npo", "--model", "M", "--benchmark", "tofy:forget10", "--out", "O"],
            ["no benchmark 'tofy'", "did you mean tofu?"],
        ),
        (
            ["unlearn", "npo", "--model", "M", "--benchmark", "tofu:forget11", "--out", "O"],
            ["forget11", "did you mean forget"],
        ),
        (
            ["unlearn", "npo", "--model", "M", "--benchmark", "builtin:defualt", "--out", "O"],
            ["defualt", "default"],
        ),
        (
            [
                "unlearn",
                "npo",
                "--model",
                "M",
                "--benchmark",
                "builtin",
                "--subset",
                "peer",
                "--out",
                "O",
            ],
            ["no subsets"],
        ),
        (["train", "--stepz", "1"], ["--stepz", "--steps"]),
        (
            ["train", "--model", "tiny", "--on", "reatin", "--forget", "F", "--out", "O"],
            ["'reatin'", "did you mean retain?"],
        ),
        (
            ["train", "--model", "tiny", "--on", "retain", "--forget", "F", "--out", "O"],
            ["no retain rows", "--retain"],
        ),
        (["eval", "--out", "O"], ["--model or --from-log"]),
        (
            ["eval", "--model", "M", "--forget", "F", "--metrics", "rogue_l_recall", "--out", "O"],
            ["no metric 'rogue_l_recall'", "did you mean rouge_l_recall?"],
        ),
        (["eval", "--from-log", "gone.json", "--out", "O"], ["gone.json", "no such file"]),
        (["ask", "who?"], ["which model?"]),
        (["ask", "who?", "--model", "gone"], ["no model folder gone"]),
        (["report", "gone"], ["no run folder gone"]),
        (["show", "npoo"], ["did you mean npo?"]),
        (["list", "methodz"], ["did you mean methods?"]),
        (["cache", "claer"], ["did you mean clear?"]),
        (["frobnicate"], ["frobnicate"]),
    ],
    ids=lambda x: " ".join(x)[:50] if isinstance(x, list) else None,
)
def test_unknown_or_missing_names(desk, refused, words, parts):
    known = {"M": desk.model, "F": desk.forget, "R": desk.retain, "O": desk.place / "out"}
    says(refused(*(known.get(w, w) for w in words)), *parts)
    assert not (desk.place / "out").exists()


# ------------------------------------------------------------------ values


@pytest.mark.parametrize(
    "method, option, value, parts",
    [
        ("npo", "--beta", "strong", ["--beta takes a number", "strong"]),
        ("npo", "--beta", "-0.1", ["--beta", "above 0"]),
        ("npo", "--beta", "nan", ["--beta", "nan"]),
        ("npo", "--beta", "inf", ["--beta", "inf"]),
        ("npo", "--retain_weight", "-1", ["--retain_weight", "at least 0"]),
        ("npo", "--retain_term", "kll", ["kll", "did you mean kl?"]),
        ("rmu", "--layer", "1.5", ["--layer takes a whole number", "1.5"]),
        ("rmu", "--layer", "9", ["layer 9", "2 blocks", "--layer"]),
        ("rmu", "--layer", "-1", ["--layer", "-1"]),
        ("whp", "--targets", "sotf", ["sotf", "did you mean soft?"]),
        ("npo", "--lr", "fast", ["--lr", "takes a number"]),
        ("npo", "--lr", "-1", ["--lr", "from 0"]),
        ("npo", "--lr", "1e9", ["--lr", "to 10"]),
        ("npo", "--lr", "nan", ["--lr nan"]),
        ("npo", "--steps", "0", ["--steps", "from 1"]),
        ("npo", "--steps", "2.5", ["--steps", "takes a whole number"]),
        ("npo", "--batch", "0", ["--batch", "from 1"]),
        ("npo", "--accumulate", "-3", ["--accumulate", "from 1"]),
        ("npo", "--warmup", "-1", ["--warmup", "from 0"]),
        ("npo", "--clip", "-1", ["--clip", "from 0"]),
        ("npo", "--save-every", "-1", ["--save-every", "at least 0"]),
        ("npo", "--seed", "-1", ["--seed", "from 0"]),
        ("npo", "--lora", "-4", ["--lora", "from 0"]),
        ("npo", "--epochs", "inf", ["--epochs", "inf"]),
        ("npo", "--schedule", "cosinus", ["cosinus", "cosine"]),
        ("npo", "--dtype", "float12", ["float12", "float32"]),
        ("npo", "--device", "tpu9", ["tpu9", "cpu"]),
        ("npo", "--device", "cuda:77", ["cuda:77"]),
        ("npo", "--max-length", "2", ["--max-length", "8"]),
        ("npo", "--threads", "0", ["--threads", "1"]),
    ],
)
def test_values_of_a_wrong_type_or_out_of_range(desk, refused, method, option, value, parts):
    out = desk.place / "out"
    says(refused(*desk.unlearn(method, out, option, value)), *parts)
    assert not out.exists()


# ------------------------------------------------------------------ what a method needs


def test_a_method_that_needs_retain_rows_without_any(desk, refused):
    says(
        refused(*desk.unlearn("npo", desk.place / "out", roles=("forget",))),
        "npo needs retain rows",
        "--retain",
    )
    says(
        refused(*desk.unlearn("grad_ascent", desk.place / "out", roles=("retain",))),
        "grad_ascent needs forget rows",
        "--forget",
    )
    assert not (desk.place / "out").exists()


@pytest.mark.parametrize("method", ["idk", "idk_dpo"])
def test_a_refusal_method_on_plain_text(desk, refused, method):
    desk.forget = desk.place / "plain.txt"
    desk.forget.write_text("Zorblat dwells in the fen.\nZorblat has a hat.\n")
    says(
        refused(*desk.unlearn(method, desk.place / "out")),
        "2 forget rows are plain text",
        "plain.txt:1",
        "take a method",
    )
    assert not (desk.place / "out").exists()


# ------------------------------------------------------------------ where to


@pytest.mark.parametrize(
    "name", ["a/..", "..", ".", "a b", "a\nb", "x" * 130, "na\u00efve", "out;rm"]
)
def test_names_of_run_folders(desk, refused, name, monkeypatch):
    (desk.place / "here").mkdir()
    monkeypatch.chdir(desk.place / "here")
    before = files(desk.place)
    says(refused(*desk.unlearn("npo", name)), "--out", "letters, digits")
    assert files(desk.place) == before and not list((desk.place / "here").iterdir())


def test_a_place_that_cannot_be_a_folder(desk, refused):
    file = desk.place / "file"
    file.write_text("mine")
    says(refused(*desk.unlearn("npo", file)), "is a file")
    says(refused(*desk.unlearn("npo", file / "out")), str(file), "folder")
    says(refused(*desk.unlearn("npo", "/proc/expunge")), "/proc/expunge")
    assert file.read_text() == "mine"


def test_folders_made_on_the_way_go_with_a_refused_run(desk, refused):
    (desk.place / "runs").mkdir()
    refused(*desk.unlearn("npo", desk.place / "runs" / "new" / "one", "--max-length", "8"))
    assert not list((desk.place / "runs").iterdir())


def test_an_empty_folder_stays_empty(desk, refused, expunge):
    out = desk.place / "out"
    out.mkdir()
    refused(*desk.unlearn("npo", out, "--max-length", "8"))
    assert files(out) == {}
    assert expunge(*desk.unlearn("npo", out))[0] == 0


def test_a_folder_that_is_not_ours(desk, refused):
    out = desk.place / "out"
    out.mkdir()
    (out / "thesis.tex").write_text("years of work")
    for more in ([], ["--overwrite"]):
        says(
            refused(*desk.unlearn("npo", out, *more)),
            "is not empty and was not made by expunge",
            "--out",
        )
    assert files(out) == {"thesis.tex": b"years of work"}
