"""Ways out of the process, its width, its threads, its signals."""

import os
import signal
import subprocess
import sys

import pytest
from command_lines import kinds
from typer.main import get_command

from expunge import registry
from expunge.cli.commands import app
from expunge.cli.exit_codes import ended
from expunge.core.errors import Failed, Refused, verdict


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
