"""What reaches the terminal: nothing foreign moves the cursor, colors, hides or forges a line."""

import json
import subprocess
import sys
import unicodedata
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.color import ColorSystem

from expunge.cli.console import answers, measurements
from expunge.cli.exit_codes import ended
from expunge.core.errors import Refused
from expunge.core.escape import TRICKY, escaped, print_error, say, tell, terminal
from expunge.core.results import Measurement
from expunge.report.terminal import listing

EVIL = "evil\x1b[2K\r\nexpunge: all is well\x9b31m\u202e\u2028"


@pytest.mark.parametrize(
    "text,seen",
    [
        ("plain words, 50 %", "plain words, 50 %"),
        ("née 名前 – naïve", "née 名前 – naïve"),
        ("a\x1b[31mb", "a\\x1b[31mb"),
        ("a\nb\rc\td", "a\\nb\\rc\\td"),
        ("\x9b\x00\x7f", "\\x9b\\x00\\x7f"),
        ("\u202eabc\u2028\u200b", "\\u202eabc\\u2028\\u200b"),
        ("\ud800", "\\ud800"),
        (Path("a/b"), "a/b"),
    ],
)
def test_what_is_tricky_is_written_out(text, seen):
    assert escaped(text) == seen


def harmless(text, lines):
    assert not [c for c in text if c != "\n" and unicodedata.category(c) in TRICKY]
    assert not any(line.startswith("expunge: all is well") for line in text.splitlines())
    assert lines is None or len(text.splitlines()) == lines


def test_a_line_stays_one(capsys):
    print_error(EVIL)
    harmless(capsys.readouterr().err, 1)
    tell(f"one\n{EVIL.replace(chr(10), '')}")
    harmless(capsys.readouterr().out, 2)


def test_what_the_library_logs_is_printed_by_commands_alone(capsys, spoken):
    say(f"1 row {EVIL}")
    assert capsys.readouterr().err == "" and len(spoken()) == 1

    def act():
        say(f"2 rows {EVIL}")

    assert ended(act) == 0
    harmless(capsys.readouterr().err, 1)
    assert ended(act) == 0  # no handler is left behind
    harmless(capsys.readouterr().err, 1)


@pytest.mark.parametrize("debug", [False, True])
def test_an_error_is_one_line_whatever_a_library_says_in_it(debug, capsys):
    def act():
        raise Refused(f"{EVIL}: cannot be read")

    assert ended(act, debug=debug) == 2
    err = capsys.readouterr().err
    assert err.splitlines()[-1].startswith("expunge: evil\\x1b[2K\\r\\nexpunge: all is well")
    assert "\x1b" not in err and "\x9b" not in err


def test_tables_hold_names_as_they_are_written(capsys):
    """Keys and reasons of a measurements file, markup and emoji codes among them."""
    found = {
        "[red]x:smile:": Measurement(0.5, 4, 4),
        f"a/{EVIL}": Measurement(0.5, 4, 4),
        "a/b": Measurement(None, reason=EVIL),
    }
    terminal().print(listing(found, title=EVIL))
    said = capsys.readouterr().out
    assert "\x1b" not in said and "\x9b" not in said and "\u202e" not in said
    assert "[red]x:smile:" in said and not any(
        line.startswith("expunge: all is well") for line in said.splitlines()
    )


def test_colors_of_our_own_stay():
    where = terminal()
    where.file, where._color_system, where._force_terminal = StringIO(), ColorSystem.STANDARD, True
    where.print("good\x1b[31m", style="green", highlight=False)
    assert where.file.getvalue() == "\x1b[32mgood\\x1b[31m\x1b[0m\n"


def test_answers_and_their_models_names(capsys):
    answers(
        EVIL,
        [SimpleNamespace(source=f"runs/{EVIL}", how=EVIL, text=EVIL, samples=[EVIL], chance=None)],
    )
    said = capsys.readouterr()
    harmless(said.out, 3)
    harmless(said.err, 1)


def test_a_run_folder_with_hostile_keys(tmp_path, capsys):
    row = {"value": 0.5, "n": 4, "groups": 4}
    (tmp_path / "measurements.json").write_text(json.dumps({"schema": 1, f"forget/{EVIL}": row}))
    measurements(tmp_path)
    harmless(capsys.readouterr().out, None)


def test_a_file_of_such_a_name_as_a_user_meets_it(tmp_path):
    (tmp_path / "evil\x1b[2K\nexpunge: all is well.jsonl").write_text("{broken\n")
    words = [
        "unlearn",
        "grad_diff",
        "--model",
        "m",
        "--forget",
        str(tmp_path),
        "--steps",
        "1",
        "--out",
        str(tmp_path / "o"),
    ]
    done = subprocess.run([sys.executable, "-m", "expunge", *words], capture_output=True, text=True)
    assert done.returncode == 2
    harmless(done.stderr, 1)
