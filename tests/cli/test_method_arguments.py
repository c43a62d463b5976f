# ruff: noqa: F401, F811 (fixtures are imported by name)
"""The words of a command line become a request, and nothing else."""

import json

import pytest
from command_lines import DATA, asked, kinds, line
from typer.main import get_command

from expunge.cli import method_arguments
from expunge.cli.commands import app
from expunge.core.card import Call, call
from expunge.core.errors import Refused
from expunge.core.fields import fields_of, option_names
from expunge.core.requests import (
    AskRequest,
    BenchRequest,
    DemoRequest,
    EvalRequest,
    ReportRequest,
    TrainRequest,
    UnlearnRequest,
)
from expunge.experiments.sweep.plan import plan_of
from expunge.runs.folder import open_run, write_yaml


def test_what_is_given_and_nothing_else(asked):
    assert asked(
        "train", "--model", "tiny", "--benchmark", "builtin", "--on", "retain", "--out", "o"
    ) == TrainRequest(model="tiny", benchmark="builtin", on="retain", out="o")
    assert asked(
        "unlearn", "npo", *DATA, "--beta", "0.5", "--lr", "1e-5", "--columns", "prompt=q,answer=a"
    ) == UnlearnRequest(
        method=call("npo", beta=0.5),
        model="m",
        forget="f.jsonl",
        retain="r.csv",
        out="o",
        lr=1e-5,
        columns={"prompt": "q", "answer": "a"},
    )
    assert asked(
        "eval",
        "--model",
        "m",
        "--benchmark",
        "tofu:forget10",
        "--metrics",
        "probability,privleak",
        "--out",
        "o",
    ) == EvalRequest(
        model="m", benchmark="tofu:forget10", metrics=("probability", "privleak"), out="o"
    )
    assert asked("ask", "--model", "m", "--against", "n", "Who?") == AskRequest(
        model="m", against="n", question="Who?"
    )
    assert asked("report", "a", "b", "--out", "r.html") == ReportRequest(
        runs=("a", "b"), out="r.html"
    )


@pytest.mark.parametrize(
    "said",
    [
        (
            "unlearn",
            "npo",
            *DATA,
            "--retain_weight",
            "2",
            "--retain_term",
            "kl",
            "--max_length",
            "64",
        ),
        ("unlearn", "npo", *DATA, "--retain-weight=2", "--retain-term=kl", "--max-length=64"),
        (
            "unlearn",
            *DATA,
            "--retain-weight",
            "2",
            "npo",
            "--retain-term",
            "kl",
            "--max-length",
            "64",
        ),
    ],
)
def test_both_spellings_in_any_order(asked, said):
    assert asked(*said).method == Call("npo", {"retain_weight": 2.0, "retain_term": "kl"})


def test_a_request_survives_json(asked):
    for request in (
        asked("unlearn", "rmu", *DATA, "--layer", "3", "--columns", "prompt=q"),
        asked("eval", "--model", "m", "--metrics", "a,b", "--out", "o"),
    ):
        assert type(request).from_json(json.loads(json.dumps(request.as_json()))) == request


def test_a_saved_run_is_done_again_with_what_is_given_on_top(asked, tmp_path, line):
    first = asked("unlearn", "npo", *DATA, "--beta", "0.5", "--retain-term", "kl", "--lr", "1e-5")
    with open_run(tmp_path / "run", verb="unlearn", request=first.as_json()) as run:
        run.finish()
    file = str(tmp_path / "run" / "run.yaml")
    assert asked("unlearn", "--from", file) == first
    second = asked("unlearn", "--from", file, "--out", "p", "--beta", "0.9", "--lr", "2e-5")
    assert (second.out, second.lr, second.method.args) == (
        "p",
        2e-5,
        {"beta": 0.9, "retain_term": "kl"},
    )
    assert asked("unlearn", "simnpo", "--from", file).method == Call("simnpo", {})
    assert line("train", "--from", file) == (
        2,
        f"{file}: made by expunge unlearn, not by expunge train",
    )


RISKS = {
    "trust_remote_code": (True, "--trust-remote-code"),
    "overwrite": (True, "--overwrite"),
    "quiet": (True, "--quiet"),
    "chat": ("https://evil.example/v1", "--chat"),
}


@pytest.mark.parametrize("name", RISKS)
def test_what_a_strangers_file_asks_for_counts_only_when_typed(name, asked, tmp_path, line):
    """Code that runs, a run that is replaced, texts that are sent away: a run.yaml alone is not
    enough.
    """
    value, option = RISKS[name]
    plain = {"model": "m", "forget": "f.jsonl", "method": {"name": "npo", "args": {}}}
    file = tmp_path / "run.yaml"
    write_yaml(file, {"verb": "unlearn", "request": plain | {name: value}})
    code, said = line("unlearn", "--from", str(file), "--out", "o")
    assert code == 2 and f"asks for {option}, which counts only when typed" in said
    typed = ("--chat", "https://mine.example/v1") if name == "chat" else (option,)
    made = asked("unlearn", "--from", str(file), "--out", "o", *typed)
    assert getattr(made, name) == (typed[1] if name == "chat" else True)
    write_yaml(
        file,
        {
            "verb": "unlearn",
            "request": plain | ({"chat": "folder/of/a/model"} if name == "chat" else {name: False}),
        },
    )
    assert asked("unlearn", "--from", str(file), "--out", "o").model == "m"


def test_a_strangers_plan_sends_no_texts_away(tmp_path):
    file = tmp_path / "plan.yaml"
    write_yaml(file, {"methods": ["npo"], "given": {"chat": "https://evil.example/v1"}})
    with pytest.raises(Refused, match="asks for --chat, which counts only when typed"):
        plan_of(BenchRequest(plan=str(file)))
    assert (
        plan_of(BenchRequest(plan=str(file), chat="https://mine.example/v1")).given["chat"]
        == "https://mine.example/v1"
    )
    with pytest.raises(Refused, match="no \\?query") as e:
        plan_of(BenchRequest(methods="npo", chat="https://mine.example/v1?key=hush"))
    assert "hush" not in str(e.value)


def test_the_question_stays_as_it_is(asked):
    assert asked("ask", "--model", "m", "--", "--what_is_it?").question == "--what_is_it?"
    assert method_arguments.dashed(["a_b", "--c_d=e_f", "--", "--g_h"]) == [
        "a_b",
        "--c-d=e_f",
        "--",
        "--g_h",
    ]


def test_every_field_of_a_request_is_an_option_of_its_verb_with_its_help_and_range():
    commands = get_command(app).commands
    assert set(commands) == {kind.verb for kind in kinds()}
    for kind in kinds():
        parameters = {p.name: p for p in commands[kind.verb].params}
        ours = {"debug", "from_", "help", "context"}
        assert set(parameters) - ours == option_names([kind]), kind.verb
        for name, field in fields_of(kind).items():
            if field.help:
                assert (
                    parameters[name].help.startswith(field.help.text)
                    and field.limits in parameters[name].help
                )
            else:
                assert kind is DemoRequest and name == "show_texts"
