"""Words into a request, ways out with one line and the right code, nothing heavy before it is
needed. The work itself is left out here.
"""

import json
import os
import signal
import subprocess
import sys

import pytest
from typer.main import get_command

from expunge import registry
from expunge.cli import method_arguments
from expunge.cli.commands import app
from expunge.cli.exit_codes import ended
from expunge.core.card import Call, call
from expunge.core.errors import Failed, Refused, verdict
from expunge.core.fields import fields_of, option_names
from expunge.core.requests import (
    AskRequest,
    BenchRequest,
    DemoRequest,
    EvalRequest,
    ReportRequest,
    Request,
    TrainRequest,
    UnlearnRequest,
)
from expunge.experiments.sweep.plan import plan_of
from expunge.runs.folder import open_run, write_yaml

DATA = ("--model", "m", "--forget", "f.jsonl", "--retain", "r.csv", "--out", "o")


@pytest.fixture
def asked(monkeypatch):
    """Run a command whose work is left out; the request that it would have carried out."""
    from expunge.cli import console
    from expunge.pipeline import ask, evaluate, report, train, unlearn

    got = []
    verbs = {
        train: "run_train",
        unlearn: "run_unlearn",
        evaluate: "run_evaluate",
        ask: "ask",
        report: "run_report",
    }
    for module, verb in (*verbs.items(), (evaluate, "run_evaluate_log")):
        monkeypatch.setattr(module, verb, lambda request: got.append(request) or {})
    for shows in ("measurements", "comparison", "answers"):
        monkeypatch.setattr(console, shows, lambda *a: None)

    def request(*said):
        from expunge.cli.commands import main

        with pytest.raises(SystemExit) as end:
            main(list(said))
        assert end.value.code == 0
        return got.pop()

    return request


@pytest.fixture
def line(capsys):
    """Run a command that must end badly: (exit code, its one line)."""

    def end_of(*said):
        from expunge.cli.commands import main

        with pytest.raises(SystemExit) as end:
            main(list(said))
        err = capsys.readouterr().err
        assert err.startswith("expunge: ") and len(err.splitlines()) == 1, err
        return end.value.code, err.removeprefix("expunge: ").strip()

    return end_of


# ------------------------------------------------------------------ words into a request


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


def kinds(of=Request):
    """Every request that has a verb, whichever file defines it: the commands have imported them."""
    found = [of] if of.verb else []
    return found + [kind for other in of.__subclasses__() for kind in kinds(other)]


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


# ------------------------------------------------------------------ near misses


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (("unlearn", "npoo", *DATA), "no method 'npoo'; did you mean npo?"),
        (
            ("unlearn", "npo", *DATA, "--betta", "1"),
            "unlearn npo has no option '--betta'; did you mean --beta?",
        ),
        (
            ("unlearn", "npo", *DATA, "--acumulate", "2"),
            "unlearn npo has no option '--acumulate'; did you mean --accumulate?",
        ),
        (("unlearn", "npo", *DATA, "--beta"), "--beta needs a value"),
        (("unlearn", "npo", *DATA, "--beta", "much"), "npo: --beta takes a number, not 'much'"),
        (
            ("unlearn", "npo", *DATA, "--beta=-1"),
            "npo: --beta -1.0 is out of range; it must be above 0",
        ),
        (("unlearn", "npo", "extra", *DATA), "'extra': expected an option such as --beta VALUE"),
        (
            ("unlearn", *DATA),
            "which method? expunge unlearn METHOD; `expunge list methods` shows them",
        ),
        (("unlearn", "npo"), "which model? give --model with a folder or owner/name"),
        (
            ("train", "--model", "tiny", "--on", "ful"),
            "--on takes no 'ful'; did you mean full? there are: forget, full, retain",
        ),
        (("train", "--modle", "tiny"), "train has no option '--modle'; did you mean --model?"),
        (("train", "--lr", "fast"), "--lr takes a number (from 0 to 10), not 'fast'"),
        (("train", "--lr"), "--lr needs a value"),
        (("train", "--overwrite=3"), "--overwrite takes no value"),
        (
            ("ask", "--samples", "1.5", "q"),
            "--samples takes a whole number (from 0 to 1000), not '1.5'",
        ),
        (("train", "--threads", "0"), "--threads 0 is out of range; it must be at least 1"),
        (("eval", "--out", "o"), "what to judge? give either --model or --from-log"),
        (
            ("show", "npoo"),
            "no member 'npoo'; did you mean npo? expunge list names all methods, guards, attacks, "
            "metrics, benchmarks",
        ),
        (
            ("show", "guards"),
            "guards: a kind of members, not one of them; expunge list guards names those that "
            "there are",
        ),
        (
            ("show", "metric"),
            "metric: a kind of members, not one of them; expunge list metrics names",
        ),
        (
            ("show", "qqqq"),
            "no member 'qqqq'; expunge list names all methods, guards, attacks, metrics, "
            "benchmarks",
        ),
        (
            ("list", "method"),
            "no kind 'method'; did you mean methods? there are: attacks, benchmarks, guards, "
            "methods, metrics",
        ),
        (
            ("list", "zzz"),
            "no kind 'zzz'; there are: attacks, benchmarks, guards, methods, metrics",
        ),
        (
            ("list", "npo"),
            "npo is no kind (methods, guards, attacks, metrics, benchmarks) but one of the "
            "methods: expunge show npo",
        ),
        (
            ("list", "methods", "metrics"),
            "list: 'metrics' is more than it takes; several words that belong together stand in "
            "quotes",
        ),
        (("unlern", "npo"), "no command 'unlern'; did you mean unlearn?"),
        (("cache", "clean"), "ACTION takes no 'clean'; did you mean clear?"),
        (
            ("unlearn", "npo", *DATA, "--report-to", "wandb"),
            "unlearn npo has no option '--report-to'; there are: --",
        ),
        (
            ("unlearn", "npo", *DATA, "--trust-remote-cod"),
            "unlearn npo has no option '--trust-remote-cod'; did you mean --trust-remote-code?",
        ),
        (
            ("unlearn", "kga", *DATA, "--stop-share", "5"),
            "kga: --stop_share 5.0 is out of range; it must be from 0 to 1",
        ),
        (
            ("unlearn", "memflex", *DATA, "--cosine=-2"),
            "memflex: --cosine -2.0 is out of range; it must be at least -1",
        ),
        (
            ("unlearn", "gru", *DATA, "--most", "1.5"),
            "gru: --most 1.5 is out of range; it must be from 0 to 1",
        ),
        (("ask",), "ask: QUESTION is missing; expunge ask --help shows what it takes"),
        (("ask", " ", "--model", "m"), "ask what? the question is empty; write it in quotes"),
    ],
    ids=lambda v: " ".join(v)[:40] if isinstance(v, tuple) else None,
)
def test_a_wrong_request_is_one_line_and_code_2(line, said, told):
    code, text = line(*said)
    assert code == 2 and text.startswith(told), text


# ------------------------------------------------------------------ the ways out


def raising(error):
    def act():
        raise error

    return act


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (Refused("wrong"), 2, "wrong"),
        (Failed("broke"), 1, "broke"),
        (KeyboardInterrupt(), 130, "interrupted; run the same command again to resume"),
        (OSError(28, "No space left on device", "x/y"), 1, "x/y: No space left on device"),
        (
            ModuleNotFoundError("no", name="peft"),
            1,
            "the package peft is missing; pip install peft",
        ),
        (MemoryError(), 1, "out of memory"),
        (ValueError("Zorblat lives in the tower"), 1, "unexpected ValueError"),
    ],
    ids=lambda v: type(v).__name__ if isinstance(v, BaseException) else None,
)
def test_exit_codes(capsys, error, code, told):
    assert ended(raising(error)) == code
    err = capsys.readouterr().err
    assert (
        err.startswith(f"expunge: {told}") and "Zorblat" not in err and len(err.splitlines()) == 1
    )


def test_only_debug_shows_a_traceback(capsys):
    assert ended(raising(Refused("wrong")), debug=True) == 2
    assert "Traceback" in (err := capsys.readouterr().err) and err.endswith("expunge: wrong\n")


def test_an_unforeseen_error_is_named_by_its_place_in_our_code():
    try:
        registry.convert(None, 1, "npo")
    except AttributeError as error:
        assert verdict(error)[1].startswith("unexpected AttributeError at registry.py:")


def test_sigterm_is_an_interruption():
    code = "import os, signal, sys, time\nfrom expunge.cli.exit_codes import ended\n"
    code += "sys.exit(ended(lambda: (os.kill(os.getpid(), signal.SIGTERM), time.sleep(5))))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (
        130,
        "expunge: interrupted; run the same command again to resume\n",
    )
    before = signal.getsignal(signal.SIGTERM)
    assert ended(lambda: None) == 0 and signal.getsignal(signal.SIGTERM) is before


# ------------------------------------------------------------------ as a process


def test_python_m_expunge():
    done = subprocess.run([sys.executable, "-m", "expunge"], capture_output=True, text=True)
    assert done.returncode == 0 and all(
        verb in done.stdout
        for verb in ("demo", "train", "unlearn", "eval", "ask", "report", "list", "show")
    )
    done = subprocess.run(
        [sys.executable, "-m", "expunge", "unlearn", "npo", "--beta", "0"],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (2, "") and done.stderr.startswith(
        "expunge: npo: --beta 0.0 is out of range"
    )


def test_the_version(capsys):
    from importlib.metadata import version

    from expunge import __version__
    from expunge.cli.commands import main

    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert (end.value.code, capsys.readouterr().out) == (0, f"expunge {__version__}\n")
    assert __version__ == version("expunge")


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize(
    "said",
    [("list",), ("show", "npo"), ("show", "tofu"), ("unlearn", "npo", "--help")],
    ids=" ".join,
)
def test_nothing_is_wider_than_the_terminal_and_a_wide_one_is_used(
    capsys, monkeypatch, said, columns
):
    from expunge.cli.commands import main

    monkeypatch.setenv("COLUMNS", str(columns))
    with pytest.raises(SystemExit):
        main(list(said))
    lines = capsys.readouterr().out.splitlines()
    words = [
        line for line in lines if " " in line.strip() and not line.startswith(("|", "expunge "))
    ]
    assert columns - 12 < max(map(len, words)) <= columns


def test_help_of_a_method_has_its_own_options(capsys):
    from expunge.cli.commands import main

    with pytest.raises(SystemExit) as end:
        main(["unlearn", "npo", "--help"])
    said = capsys.readouterr().out
    assert (
        end.value.code == 0
        and "--weight-decay" in said
        and "--beta" in said
        and "inverse temperature" in said
        and "Example:" in said
    )


@pytest.mark.parametrize(
    ("said", "expected"), [((), "1"), (("--threads", "3"), "3"), (("--threads=2",), "2")]
)
def test_threads_are_settled_before_torch_is_there(said, expected):
    code = (
        "import os, sys\nfrom expunge.cli.commands import main\ntry: main(sys.argv[1:])\nexcept "
        "SystemExit: pass\n"
    )
    code += (
        "print(os.environ['OMP_NUM_THREADS'], os.environ['OMP_WAIT_POLICY'], 'torch' in "
        "sys.modules)"
    )
    env = {k: v for k, v in os.environ.items() if not k.startswith("OMP_")}
    done = subprocess.run(
        [sys.executable, "-c", code, "train", *said], capture_output=True, text=True, env=env
    )
    assert done.stdout.split() == [expected, "PASSIVE", "False"], done.stderr


def test_every_verb_has_an_example_and_every_request_a_verb():
    commands = get_command(app).commands
    assert all("Example: expunge " in (c.help or "") for c in commands.values())
    assert {kind.verb for kind in kinds()} == set(commands)
