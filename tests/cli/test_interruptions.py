# ruff: noqa: F401, F811 (fixtures are imported by name)
"""Ctrl-C, SIGKILL, a folder in use, a full disk: the same command goes on, and nothing is lost."""

import random
import shutil
import signal
import subprocess
import sys
import time

import pytest
from command_runs import after, before, run_of, steps_of
from commands import (
    Desk,
    copied,
    expunge,
    facts,
    files,
    jsonl,
    line_of,
    model,
    refused,
    spawn,
    weights,
)

from expunge.models.causal_lm import tiny
from expunge.models.causal_lm.model import Subject
from expunge.models.causal_lm.save import save


def test_a_folder_in_use(before, tmp_path, expunge, refused, spawn):
    out = tmp_path / "out"
    words = before.unlearn("grad_ascent", out, "--save-every", "1", steps=400)
    other = spawn(*words)
    assert other.until(lambda: (out / "log.jsonl").exists())
    line = refused(*words)
    assert (
        f"in use by another run (process {other.process.pid} " in line and "another --out" in line
    )
    refused(*before.unlearn("npo", out, "--overwrite"))
    assert other.process.is_alive()
    other.kill(signal.SIGKILL)
    assert other.wait()[0] == -signal.SIGKILL
    line = refused(*before.unlearn("npo", out))
    assert "unfinished run that differs in" in line and "method" in line and "steps" in line
    assert expunge(*before.unlearn("npo", out, "--overwrite"))[0] == 0


STEPS = 40  # enough that the last comes long after the signal, on a busy machine too


def test_ctrl_c_and_the_same_command_again(before, tmp_path, expunge, spawn):
    more = ("--save-every", "2", "--lora", "2", "--schedule", "cosine")
    whole, out = tmp_path / "whole", tmp_path / "out"
    assert expunge(*before.unlearn("npo", whole, *more, steps=STEPS))[0] == 0
    words = before.unlearn("npo", out, *more, steps=STEPS)
    for sign, place in ((signal.SIGINT, "checkpoint-2"), (signal.SIGTERM, "checkpoint-6")):
        running = spawn(*words)
        assert running.until(lambda place=place: any(out.glob(f"stages/*/{place}/manifest.json")))
        running.kill(sign)
        code, said = running.wait()
        assert code == 130 and line_of(said) == "interrupted; run the same command again to resume"
        assert run_of(out)["status"] == "running" and not (out / "model").exists()
    assert expunge(*words)[0] == 0
    assert (
        files(out / "model")["adapter_model.safetensors"]
        == files(whole / "model")["adapter_model.safetensors"]
    )
    assert steps_of(out) == steps_of(whole) == [("npo", n) for n in range(1, STEPS + 1)]


POINTS = {  # moments in the life of a run of two stages
    "first checkpoint": lambda out: any(out.glob("stages/0-*/checkpoint-*")),
    "second checkpoint": lambda out: any(out.glob("stages/0-*/checkpoint-2")),
    "first stage being saved": lambda out: (
        any(out.glob("stages/0-*/.model.partial")) or any(out.glob("stages/1-*"))
    ),
    "second stage begun": lambda out: any(out.glob("stages/1-*")),
    "second stage trained": lambda out: any(out.glob("stages/1-*/checkpoint-3")),
    "result being saved": lambda out: (out / ".model.partial").exists() or (out / "model").exists(),
}


@pytest.mark.slow
def test_sigkill_at_any_stage(before, tmp_path, expunge, spawn):
    """A run of two stages is killed at known moments and at random ones; the same command always
    ends with the same bits.
    """
    more = ("--save-every", "1", "--reinforce_epochs", "2", "--retain_weight", "0.5")
    whole, out = tmp_path / "whole", tmp_path / "out"
    begun = time.monotonic()
    undisturbed = spawn(*before.unlearn("whp", whole, *more, steps=4))
    assert undisturbed.wait()[0] == 0
    lasts = time.monotonic() - begun
    words = before.unlearn("whp", out, *more, steps=4)
    killed = []
    for name, reached in POINTS.items():
        running = spawn(*words)
        if running.until(lambda reached=reached: reached(out)):
            running.kill(signal.SIGKILL)
            killed.append((name, running.wait()[0]))
    assert len([code for _, code in killed if code == -signal.SIGKILL]) >= 4, killed
    if run_of(out)["status"] != "finished":
        assert expunge(*words)[0] == 0
    assert weights(out) == weights(whole)
    assert steps_of(out) == steps_of(whole)
    draw = random.Random(0)
    again = tmp_path / "again"
    words = before.unlearn("whp", again, *more, steps=4)
    for _ in range(4):
        running = spawn(*words)
        running.until(
            lambda end=time.monotonic() + draw.uniform(0.05, 0.7) * lasts: time.monotonic() > end
        )
        running.process.kill()
        running.wait()
    if not (again / "run.yaml").exists() or run_of(again)["status"] != "finished":
        assert expunge(*words)[0] == 0
    assert weights(again) == weights(whole) and steps_of(again) == steps_of(whole)
    assert {p.name for p in again.iterdir()} == {
        ".lock",
        "run.yaml",
        "log.jsonl",
        "model",
        "private",
    }
    assert {p.name for p in (again / "model").parent.glob(".model*")} == set()


def test_rows_or_a_model_that_changed_since(tmp_path, model, expunge, refused, spawn):
    """A resumed run goes on with the very rows and weights that it began with, or not at all."""
    rows, out = Desk(tmp_path, copied(model, tmp_path / "start")), tmp_path / "out"
    words = rows.unlearn("grad_ascent", out, "--save-every", "1", steps=400)
    running = spawn(*words)
    assert running.until(lambda: any(out.glob("stages/*/checkpoint-1/manifest.json")))
    running.process.kill()
    running.wait()
    was, data = files(out), rows.forget.read_text()
    jsonl(rows.forget, facts("Zorblat", 6, first=1))
    assert "the data changed since this run was begun" in refused(*words)
    rows.forget.write_text(data)
    shutil.rmtree(rows.model)
    save(
        Subject(
            *tiny.build([data], layers=2, width=32, ffn=64, heads=2, vocab=400, seed=1), "tiny"
        ),
        rows.model,
    )
    assert "the model changed since" in refused(*words)
    assert {k: v for k, v in files(out).items() if k != "run.yaml"} == {
        k: v for k, v in was.items() if k not in (".holder", "run.yaml")
    }


def limited(kib, words, place):
    """The command in a real shell that allows files of ``kib`` KiB: (exit code, standard error)."""
    line = f'ulimit -f {kib}; exec "$@"'
    done = subprocess.run(
        ["bash", "-c", line, "bash", sys.executable, "-m", "expunge", *map(str, words)],
        cwd=place,
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stderr


@pytest.mark.slow
def test_ulimit_while_saving(before, tmp_path, expunge):
    """bash's ulimit -f in KiB: the run fails at its first large file, keeps what was there, and
    goes through without the limit.
    """
    out = tmp_path / "out"
    words = before.unlearn("grad_ascent", out, steps=1)
    assert expunge(*words)[0] == 0
    was = files(out / "model")
    words = before.unlearn("grad_ascent", out, "--overwrite")
    code, err = limited(100, words, tmp_path)
    assert code == 1 and "free some space" in line_of(err), err
    assert files(out / ".replaced" / "model") == was
    assert not [p for p in out.rglob(".*.partial")]
    assert expunge(*words)[0] == 0 and not (out / ".replaced").exists() and weights(out)


@pytest.mark.parametrize(
    "kib, where",
    [
        (8, "the cache of start log-probabilities or the tokenizer"),
        (100, "weights"),
        (200, "the optimizer's state in a checkpoint"),
    ],
)
def test_a_limit_at_any_file(before, tmp_path, expunge, spawn, kib, where):
    out, whole = tmp_path / "out", tmp_path / "whole"
    running = spawn(*before.unlearn("npo", out, "--save-every", "1"), limit=kib * 1024)
    code, said = running.wait()
    assert code == 1, (where, said)
    line_of(said)
    assert (
        not (out / "model").exists()
        and not list(out.glob(".*.partial"))
        and run_of(out)["status"] == "running"
    )
    assert expunge(*before.unlearn("npo", out, "--save-every", "1"))[0] == 0
    assert expunge(*before.unlearn("npo", whole, "--save-every", "1"))[0] == 0
    assert weights(out) == weights(whole)


def test_a_limit_while_measuring(after, before, tmp_path, expunge, spawn):
    out = tmp_path / "eval"
    words = [
        "eval",
        "--model",
        str(after),
        *before.data("forget"),
        "--metrics",
        "probability",
        "--out",
        str(out),
        "--quiet",
    ]
    code, said = spawn(*words, limit=2000).wait()
    assert code == 1, said
    line_of(said)
    assert not (out / "measurements.json").exists() and not [p for p in out.rglob("*unfinished*")]
    assert expunge(*words)[0] == 0
