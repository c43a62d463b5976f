# ruff: noqa: F401, F811 (fixtures are imported by name)
"""Benchmarks as a person meets them at the command line: rows that are absent, rows of one's own
beside them, published numbers.
"""

import json
import subprocess
import sys
from functools import partial

import pytest
import yaml
from benchmark_rows import wanted
from commands import expunge, jsonl, refused

from expunge import registry
from expunge.benchmarks import lume, muse, rwku, tofu, wmdp
from expunge.cli.console import others

WANTED = wanted()
PUBLISHED = {"lume": lume, "muse": muse, "rwku": rwku, "tofu": tofu, "wmdp": wmdp}


@pytest.mark.parametrize("name", WANTED)
def test_without_its_rows_a_benchmark_says_what_it_wants(name, refused, tmp_path):
    """Offline and with nothing in the cache: one line, exit code 2, no folder left."""
    said = refused("train", "--model", "tiny", "--benchmark", name, "--out", tmp_path / "run")
    assert (
        WANTED[name] in said
        and "is not the name of" not in said
        and not (tmp_path / "run").exists()
    )


def test_no_traceback_in_a_process_of_its_own(tmp_path):
    words = ["eval", "--model", str(tmp_path), "--benchmark", "wpu", "--out", str(tmp_path / "run")]
    done = subprocess.run([sys.executable, "-m", "expunge", *words], capture_output=True, text=True)
    assert (
        done.returncode == 2
        and done.stderr.count("\n") == 1
        and WANTED["wpu"] in done.stderr
        and not done.stdout
    )


# ------------------------------------------------------------- rows of one's own beside a benchmark


@pytest.fixture
def concepts(put):
    """All concepts are to be forgotten: the benchmark brings nothing to keep."""
    half = lambda i: {"First_half": f"Poland {i} lies", "Second_half": f"by the sea {i}."}
    row = {
        "Concept": "Poland",
        "Layer": 1,
        "Dim": 2,
        "QA": [],
        "text_completion": [half(i) for i in range(6)],
        "unrelated_QA": [],
    }
    return put(
        "conceptvectors/llama2-7b_concepts_dev.json",
        json.dumps([row | {"wikipedia_content": "Poland is a country. " * 9}]),
    )


def test_what_a_benchmark_lacks_can_be_brought(concepts, expunge, refused, tmp_path):
    kept = jsonl(tmp_path / "kept.jsonl", [(f"Q {i}?", f"A {i}") for i in range(8)])
    case = ["--benchmark", "conceptvectors", "--data", concepts]
    short = ["--steps", 2, "--batch", 2, "--quiet"]
    assert (
        expunge(
            "train", "--model", "tiny", *case, *short, "--retain", kept, "--out", tmp_path / "full"
        )[0]
        == 0
    )
    made = yaml.safe_load((tmp_path / "full/run.yaml").read_text())
    assert made["data"]["train"]["n"] == 9  # the concept's page and all of one's own
    assert "needs retain rows" in refused(
        "unlearn",
        "grad_diff",
        "--model",
        tmp_path / "full",
        *case,
        *short,
        "--out",
        tmp_path / "without",
    )
    asked = [
        "--model",
        tmp_path / "full",
        *case,
        *short,
        "--retain",
        kept,
        "--out",
        tmp_path / "un",
    ]
    assert expunge("unlearn", "grad_diff", *asked)[0] == 0
    assert yaml.safe_load((tmp_path / "un/run.yaml").read_text())["data"]["retain"]["n"] == 8


def test_what_a_benchmark_has_cannot_be_replaced(concepts, refused, tmp_path):
    rows = jsonl(tmp_path / "rows.jsonl", [(f"Q {i}?", f"A {i}") for i in range(4)])
    case = ["--benchmark", "conceptvectors", "--data", concepts, "--out", tmp_path / "run"]
    said = refused("train", "--model", "tiny", *case, "--forget", rows)
    assert (
        said
        == "give either --benchmark or --forget, not both: conceptvectors brings forget rows of "
        "its own"
    )
    assert (
        refused("eval", "--model", "tiny", *case, "--retain", rows)
        == "give either --benchmark or --retain, not both"
    )


# ------------------------------------------------------------------ settings


def test_a_fresh_model_learns_at_its_own_rate_and_long_answers_are_let_through(
    put, expunge, tmp_path
):
    """LUME's rows are longer than 512 tokens of a small vocabulary; the benchmark says how long
    they may be, also to training.
    """
    row = lambda i, task, probe: {
        "id": f"d{i}{probe}{i}",
        "task": task,
        "input": f"Say {i}",
        "output": " ".join(f"w{k}" for k in range(400)),
    }
    rows = [
        row(i, f"Task{t}", probe) for t in (1, 2, 3) for probe in ("sc", "qa") for i in range(2)
    ]
    put("lume/forget", rows)
    data = put("lume/retain", [r | {"id": "k" + r["id"], "input": "k" + r["input"]} for r in rows])
    words = [
        "train",
        "--model",
        "tiny",
        "--benchmark",
        "lume",
        "--data",
        data,
        "--steps",
        1,
        "--batch",
        2,
        "--quiet",
    ]
    assert expunge(*words, "--out", tmp_path / "fresh")[0] == 0
    settings = yaml.safe_load((tmp_path / "fresh/run.yaml").read_text())["settings"]
    assert settings["lr"] == {"value": 3e-3, "source": "house"}
    absent = yaml.safe_load((tmp_path / "fresh/run.yaml").read_text())["absent"]
    assert (
        set(absent) == {"mmlu", "member", "nonmember"}
        and "no rows 'test' of mmlu" in absent["mmlu"]
    )
    loud = [w for w in words if w != "--quiet"]
    _, _, said = expunge(*loud, "--lr", "1e-4", "--out", tmp_path / "told")
    assert "lume: left out: mmlu, member, nonmember (run.yaml says why)" in said.splitlines()
    assert yaml.safe_load((tmp_path / "told/run.yaml").read_text())["settings"]["lr"] == {
        "value": 1e-4,
        "source": "command line",
    }


# ------------------------------------------------------------------ published numbers


def test_those_who_know_published_numbers():
    has = lambda name: "def published(" in (registry.HERE / "benchmarks" / f"{name}.py").read_text()
    assert {name for name in registry.names("benchmarks") if has(name)} == set(PUBLISHED)


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_numbers_are_shown_with_their_source_and_protocol(name, expunge):
    split = next(
        a.default.strip("'")
        for a in registry.member("benchmarks", name).arguments
        if a.name == "split"
    )
    found = PUBLISHED[name].published(split)
    shown = expunge("show", name)[1]
    words = " ".join(shown.split())  # its lines are as wide as the terminal
    assert found.numbers and f"## Published numbers: {split}" in shown
    assert " ".join(f"Protocol: {found.protocol}.".split()) in words
    assert not found.subset or f"`--subset {found.subset}` asks and scores so." in words
    items = [" ".join(part.split()) for part in shown.split("\n- ")]
    for label, numbers in found.numbers.items():
        line = next(item for item in items if item.startswith(f"{label}: "))
        assert "(" in label and all(f"{key} {value:g}" in line for key, value in numbers.items())
    assert expunge("show", f"{name}:{split}")[1] == shown


def test_published_numbers_of_another_split(expunge, refused):
    assert (
        "mia_loss" in expunge("show", "tofu:forget05")[1]
        and "Published numbers" not in expunge("show", "lume:personal")[1]
    )
    assert (
        refused("show", "tofu:forget11")
        == "tofu has no split 'forget11'; did you mean forget10? there are: forget01, forget05, "
        "forget10"
    )


def test_published_numbers_stand_beside_their_own_protocol_alone(data):
    """Every one belongs to a measurement that ``expunge eval`` makes of the benchmark under the
    subset that follows the protocol.
    """
    for name, module in PUBLISHED.items():
        make = partial(getattr(module, name), data=str(data))
        own = module.published(
            next(
                a.default.strip("'")
                for a in registry.member("benchmarks", name).arguments
                if a.name == "split"
            )
        )
        subset = {"subset": own.subset} if own.subset else {}
        made = {f"{role}/{metric}" if role else metric for metric, role in make(**subset).metrics}
        told = {key for numbers in own.numbers.values() for key in numbers}
        assert told and told - made <= ({"mmlu/choice_accuracy"} if name == "lume" else set())
        if name != "wmdp":  # whose first release and all of MMLU are among the real rows
            assert not make().published
        if name != "lume":  # whose task's rows are gated
            assert make(**subset).published == own.numbers


@pytest.mark.parametrize(
    ("benchmark", "subset", "line"),
    [
        (
            "rwku:Stephen_King",
            "",
            "rwku:Stephen_King (measured otherwise: --subset authors asks and scores as they did)",
        ),
        ("rwku:Stephen_King:authors", "", "rwku:Stephen_King (the authors' code: chat template"),
        ("rwku", "authors", "rwku (the authors' code: chat template"),
        ("wmdp", "blind", "wmdp (measured otherwise: without --subset it is asked as they did)"),
        ("tofu:forget10", None, "tofu:forget10"),  # a log has its own protocol
    ],
)
def test_after_a_run_it_is_said_whether_published_numbers_were_measured_so(
    benchmark, subset, line, capsys
):
    others(benchmark, subset)
    said = capsys.readouterr().out
    assert (
        said.startswith(f"published numbers of large models: expunge show {line}")
        and said.count("\n") == 1
    )
    assert subset is not None or "(" not in said


def test_parts_of_a_published_score():
    """The three parts that the task's site gives for AILS-NTUA make its final score."""
    best = lume.published("all").numbers["OLMo-7B AILS-NTUA (SemEval-2025 Task 4 site)"]
    assert (
        round((best["semeval_tasks"] + 0.847 + best["mmlu/choice_accuracy"]) / 3, 3)
        == best["semeval_score"]
        == 0.706
    )
