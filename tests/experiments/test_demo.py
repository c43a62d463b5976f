"""The demo as a newcomer runs it: one command, and what its folders then say."""

import json
import os
import subprocess
import sys

import pytest

from expunge.experiments.demo import METHODS


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """The finished demo: its folder and what it printed."""
    out = tmp_path_factory.mktemp("demo") / "expunge-demo"
    done = subprocess.run(
        [sys.executable, "-m", "expunge", "demo", "--out", str(out)],
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "100"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return out, done.stdout


def measured(out, name):
    return json.loads((out / "judged" / name / "measurements.json").read_text())


def points(out, name, attack="relearn"):
    (curve,) = json.loads((out / "attacked" / f"{name}-{attack}" / "curves.json").read_text())[
        "curves"
    ]
    return [p["value"] for p in curve["forget/probability"]]


@pytest.mark.slow
def test_the_original_knows_and_gold_does_not(told):
    out, _ = told
    original, gold = measured(out, "original"), measured(out, "gold")
    assert (
        original["forget/probability"]["value"] > 0.9
        and original["retain/probability"]["value"] > 0.9
    )
    assert gold["retain/probability"]["value"] > 0.9 and gold["forget/probability"]["value"] < 0.25


@pytest.mark.slow
@pytest.mark.parametrize("name", ["grad_diff", "npo", "simnpo", "rmu"])
def test_methods_reach_golds_level_and_keep_the_rest(told, name):
    out, _ = told
    found, gold = measured(out, name), measured(out, "gold")
    assert found["forget/probability"]["value"] < gold["forget/probability"]["value"] + 0.1
    assert found["retain/probability"]["value"] > 0.75


@pytest.mark.slow
def test_relearning_tells_hidden_from_gone(told):
    """Steered hidden states come back at once, on rows that the adversary did not hold; gold under
    the same budget does not.
    """
    out, _ = told
    gold, steered = points(out, "gold"), points(out, "rmu")
    assert max(steered) > max(gold) + 0.2 and steered[0] < gold[0] + 0.1


@pytest.mark.slow
def test_the_terminal_and_the_report_say_it(told):
    out, text = told
    for name in ("original", "gold", *METHODS):
        assert name in text
    assert "hidden, not gone" in text and "relearning steps" in text
    page = (out / "report.html").read_text()
    assert "http://" not in page.replace("http://www.w3.org", "") and "<svg" in page


@pytest.mark.slow
def test_a_second_call_makes_nothing_anew(told):
    out, _ = told
    before = (out / "original" / "model" / "model.safetensors").stat().st_mtime_ns
    done = subprocess.run(
        [sys.executable, "-m", "expunge", "demo", "--out", str(out), "--quiet"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert (out / "original" / "model" / "model.safetensors").stat().st_mtime_ns == before
    other = subprocess.run(
        [sys.executable, "-m", "expunge", "demo", "--out", str(out), "--seed", "5"],
        capture_output=True,
        text=True,
    )
    assert other.returncode == 2 and "another seed" in other.stderr
