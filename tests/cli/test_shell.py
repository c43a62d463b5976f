# ruff: noqa: F401, F811 (fixtures are imported by name)
"""Commands in processes of their own: listing without torch, pipes that close, tracebacks."""

import json
import os
import subprocess
import sys

from command_runs import before
from commands import expunge, model


def shell(*words, **env):
    done = subprocess.run(
        [sys.executable, "-m", "expunge", *map(str, words)],
        capture_output=True,
        text=True,
        env=os.environ | env,
    )
    return done.returncode, done.stdout, done.stderr


def test_list_and_show_in_a_real_shell():
    code, said, err = shell("list", "methods", "--json")
    assert code == 0 and err == ""
    rows = json.loads(said)
    assert {"npo", "rmu", "whp", "task_arithmetic"} <= {r["name"] for r in rows}
    code, said, err = shell("show", "npo", COLUMNS="200")
    assert code == 0 and "beta" in said and "2404.05868" in said
    code, said, err = shell()
    assert code == 0 and "Usage" in said + err
    code, said, err = shell("unlearn", "npo", "--help")
    assert code == 0 and "--beta" in said and "--forget" in said


LISTING = """
import sys, expunge.cli.commands
try:
    expunge.cli.commands.main(["list"])
except SystemExit:
    print(sorted({"torch", "transformers", "datasets"} & set(sys.modules)))
"""


def test_listing_needs_no_torch():
    done = subprocess.run([sys.executable, "-c", LISTING], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_reader_that_goes_away():
    done = subprocess.run(
        [
            "bash",
            "-c",
            f"{sys.executable} -m expunge list --json | head -1; exit ${{PIPESTATUS[0]}}",
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and done.stderr == ""


def test_debug_shows_the_traceback_and_the_line(before, tmp_path, expunge):
    code, _, err = expunge(*before.unlearn("npo", tmp_path / "x", "--max-length", "8", "--debug"))
    assert code == 2 and "Traceback" in err and err.splitlines()[-1].startswith("expunge: ")
