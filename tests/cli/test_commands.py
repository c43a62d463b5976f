# ruff: noqa: F401, F811 (fixtures are imported by name)
"""The commands as a person uses them: what they do, what they leave behind, and what survives an
interruption.
"""

import json
import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import time

import pytest
import yaml
from commands import (
    SECRETS,
    Desk,
    copied,
    expunge,
    facts,
    files,
    inside,
    jsonl,
    line_of,
    model,
    once,
    refused,
    spawn,
    weights,
)

from expunge.models.causal_lm import tiny
from expunge.models.causal_lm.model import Subject
from expunge.models.causal_lm.save import save

SETTINGS = {
    "lr",
    "epochs",
    "steps",
    "batch",
    "accumulate",
    "schedule",
    "warmup",
    "weight_decay",
    "betas",
    "clip",
    "seed",
    "save_every",
} | {
    "optimiser",
    "rho",
}


def run_of(out):
    return yaml.safe_load((out / "run.yaml").read_text())


def log_of(out):
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def steps_of(out):
    return [(line["stage"], line["step"]) for line in log_of(out)]


@pytest.fixture(scope="session")
def before(model, tmp_path_factory):
    """A folder with the files and a model that knows every row, trained by the command itself: (its
    Desk, what the command said).
    """

    def make(place):
        from expunge.cli.commands import main

        rows = Desk(place, model)
        with inside(place), pytest.raises(SystemExit) as ended:
            fast = [
                "--steps",
                "150",
                "--batch",
                "14",
                "--lr",
                "2e-2",
                "--warmup",
                "10",
                "--schedule",
                "cosine_min10",
                "--seed",
                "3",
            ]
            main(["train", "--model", str(model), *rows.data(), *fast, "--out", "full", "--quiet"])
        assert ended.value.code == 0

    place = once(tmp_path_factory, "commands-before", make)
    return Desk(place, place / "full")


# ------------------------------------------------------------------ what a run leaves behind


def test_train_leaves_a_run_folder(before):
    out = before.model
    assert {p.name for p in out.iterdir()} == {".lock", "run.yaml", "log.jsonl", "model", "private"}
    run = run_of(out)
    assert (run["schema"], run["verb"], run["status"], run["seed"], run["on"], run["device"]) == (
        1,
        "train",
        "finished",
        3,
        "full",
        "cpu",
    )
    assert set(run["settings"]) == SETTINGS
    assert run["settings"]["lr"] == {"value": 2e-2, "source": "command line"} and run["settings"][
        "clip"
    ] == {
        "value": 1.0,
        "source": "house",
    }
    assert (
        run["data"]["train"]["n"] == 14
        and len(run["model"]["digest"]) == 64
        and run["versions"]["torch"]
        and run["started"]
    )
    assert steps_of(out) == [("train_full", n) for n in range(1, 151)]
    assert log_of(out)[0]["loss"] > 4 and log_of(out)[-1]["loss"] < 0.2
    assert {"stage", "step", "loss", "loss/nll/train", "lr", "seconds"} <= set(log_of(out)[0])


def test_the_model_loads_without_us(before):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = before.model / "model"
    plain, tokenizer = (
        AutoModelForCausalLM.from_pretrained(folder),
        AutoTokenizer.from_pretrained(folder),
    )
    question, answer = facts("Mimsy", 1)[0]
    ids = tokenizer.apply_chat_template(
        [{"role": "user", "content": question}],
        add_generation_prompt=True,
        return_tensors="pt",
        return_dict=True,
    )
    said = tokenizer.decode(
        plain.generate(**ids, max_new_tokens=40)[0][ids["input_ids"].shape[1] :],
        skip_special_tokens=True,
    )
    assert said.strip() == answer
    card = (folder / "README.md").read_text()
    assert "fine-tuning on the full rows" in card and "proof of deletion" in card


def hold_no_text(out):
    """No question, answer or id of the data in any file outside private/ (the tokenizer's
    vocabulary and paths apart).
    """
    import pyarrow.parquet

    for name, data in files(out).items():
        if name.startswith("private/") or name.endswith(
            ("tokenizer.json", "tokenizer_config.json")
        ):
            continue
        text = (
            data
            if not name.endswith(".parquet")
            else json.dumps(
                pyarrow.parquet.read_table(out / name).to_pylist(), default=str
            ).encode()
        )
        held = [s for s in (*SECRETS, "Where does", " dwells in ") if s.encode() in text]
        assert not held, f"{name} holds {held}"


METHODS = {  # the method with its options -> stages, terms of the last stage
    "grad_diff": (["grad_diff"], {"ascent/forget", "nll/retain"}),
    "npo with LoRA": (["npo", "--lora", "4", "--beta", "0.5"], {"forget", "nll/retain"}),
    "rmu": (["rmu", "--layer", "1"], {"forget", "retain"}),
    "whp": (["whp", "--reinforce_epochs", "1"], {"ce/forget"}),
    "task_arithmetic": (["task_arithmetic"], {"nll/forget"}),
    "idk": (["idk"], {"nll/alternate+retain"}),
}


@pytest.mark.parametrize("name", METHODS)
def test_unlearn(before, tmp_path, expunge, name):
    words, terms = METHODS[name]
    out = tmp_path / "out"
    code, said, err = expunge(*before.unlearn(words[0], out, *words[1:]))
    assert (code, said.strip(), err) == (0, str(out), "")
    edited = {"edits"} if name == "task_arithmetic" else set()
    assert {p.name for p in out.iterdir()} == {
        ".lock",
        "run.yaml",
        "log.jsonl",
        "model",
        "private",
    } | edited
    assert stat.S_IMODE((out / "private").stat().st_mode) == 0o700
    run = run_of(out)
    assert (
        run["method"]["name"] == words[0]
        and run["status"] == "finished"
        and run["data"]["forget"]["n"] == 6
    )
    assert {k.removeprefix("loss/") for k in log_of(out)[-1] if k.startswith("loss/")} == terms
    hold_no_text(out)
    from expunge.models.causal_lm.load import load

    assert load(out).digest != load(before.model).digest
    adapter = (out / "model" / "adapter_config.json").exists()
    assert adapter == ("--lora" in words)


@pytest.fixture(scope="session")
def after(before, tmp_path_factory):
    """A run of grad_ascent on the trained model."""

    def make(place):
        from expunge.cli.commands import main

        with pytest.raises(SystemExit) as ended:
            main(before.unlearn("grad_ascent", place / "run", steps=4))
        assert ended.value.code == 0

    return once(tmp_path_factory, "commands-after", make) / "run"


def test_eval_ask_and_report(before, after, model, tmp_path, expunge):
    """One story: measure before and after beside gold, ask both, make the report."""
    out, start = tmp_path / "eval", tmp_path / "eval-before"
    rows = before.data("forget", "retain", "holdout")
    assert (
        expunge(
            "eval",
            "--model",
            before.model,
            *rows,
            "--out",
            start,
            "--quiet",
            "--metrics",
            "probability",
        )[0]
        == 0
    )
    code, _, err = expunge(
        "eval",
        "--model",
        after,
        "--gold",
        before.model,
        *rows,
        "--out",
        tmp_path / "saw",
        "--quiet",
    )
    assert code == 2 and "it saw the forget rows" in err
    code, said, err = expunge(
        "eval",
        "--model",
        after,
        "--gold",
        model,
        *rows,
        "--out",
        out,
        "--quiet",
        "--label",
        "ascent",
    )
    assert code == 0 and err == "" and "forget" in said and "probability" in said
    assert {p.name for p in out.iterdir()} == {
        ".lock",
        "run.yaml",
        "records",
        "private",
        "measurements.json",
        "comparison.json",
    }
    assert stat.S_IMODE((out / "private").stat().st_mode) == 0o700
    assert {stat.S_IMODE(p.stat().st_mode) for p in (out / "private").iterdir()} == {0o600}
    assert "Zorblat" in (out / "private" / "texts.json").read_text()
    hold_no_text(out)
    found = json.loads((out / "measurements.json").read_text())
    assert found.pop("schema") == 1
    fields = {"value", "n", "groups", "interval", "better", "margin", "reason"}
    assert all(set(m) - {"parts", "note", "warning", "fewest"} == fields for m in found.values())
    assert found["forget/probability"]["warning"] == "too few groups"
    assert all((m["value"] is None) == bool(m["reason"]) for m in found.values())
    known = json.loads((start / "measurements.json").read_text())["forget/probability"]
    gone = found["forget/probability"]
    assert known["value"] > 0.8 and gone["value"] < 0.5 * known["value"]
    assert gone["n"] == 6 and gone["interval"][0] <= gone["value"] <= gone["interval"][1]

    code, said, err = expunge(
        "ask", "--model", after, "--against", before.model, facts("Zorblat", 1)[0][0]
    )
    assert (
        code == 0
        and err == ""
        and facts("Zorblat", 1)[0][1] in said
        and str(after) in said
        and str(before.model) in said
    )

    page = tmp_path / "report.html"
    code, said, err = expunge("report", out, start, after, "--out", page)
    assert code == 0 and err == "" and said.strip() == str(page)
    text = page.read_text()
    assert (
        "ascent" in text
        and "http://" not in text.replace("http://www.w3.org", "")
        and not any(s in text for s in SECRETS)
    )
    assert (
        expunge("report", out, "--show-texts", "--out", page)[0] == 0
        and "Zorblat" in page.read_text()
    )


def test_eval_can_drop_its_texts(after, before, tmp_path, expunge):
    out = tmp_path / "eval"
    assert (
        expunge(
            "eval",
            "--model",
            after,
            *before.data("forget"),
            "--metrics",
            "probability",
            "--no-texts",
            "--out",
            out,
            "--quiet",
        )[0]
        == 0
    )
    assert [p.name for p in (out / "private").iterdir()] == ["salt"]
    found = json.loads((out / "measurements.json").read_text())
    assert set(found) == {"schema", "forget/probability"}


# ------------------------------------------------------------------ again, and differently


def test_from_run_yaml_does_it_again(before, after, tmp_path, expunge):
    out = tmp_path / "again"
    assert expunge("unlearn", "--from", after / "run.yaml", "--out", out)[0] == 0
    assert weights(out) == weights(after)
    other = tmp_path / "other"
    assert (
        expunge("unlearn", "--from", after, "--out", other, "--seed", "5", "--steps", "1")[0] == 0
    )
    run = run_of(other)
    assert (
        run["settings"]["seed"] == {"value": 5, "source": "command line"}
        and run["settings"]["steps"]["value"] == 1
    )
    assert run["method"] == run_of(after)["method"] and weights(other) != weights(after)


def test_a_run_yaml_that_does_not_fit(before, after, tmp_path, refused):
    assert "train" in refused("unlearn", "--from", before.model, "--out", tmp_path / "x")
    assert "unlearn" in refused("train", "--from", after, "--out", tmp_path / "x")
    assert "is finished" in refused("unlearn", "--from", after)
    run = run_of(after)
    for key, value, part in (
        ("lr", "fast", "lr"),
        ("steps", [1], "steps"),
        ("stepz", 3, "stepz"),
        ("method", "npo", "method"),
        ("forget", 3, "forget"),
    ):
        edited = tmp_path / "edited.yaml"
        edited.write_text(yaml.safe_dump(run | {"request": run["request"] | {key: value}}))
        line = refused("unlearn", "--from", edited, "--out", tmp_path / "x")
        assert part in line and "edited.yaml" in line
    assert not (tmp_path / "x").exists()


def test_a_number_written_by_hand(after, tmp_path, expunge):
    """YAML 1.1 reads 1e-2 as a text; a person means the number."""
    kept = (after / "run.yaml").read_text()
    assert "\n  lr: 0.01\n" in kept
    (tmp_path / "hand.yaml").write_text(kept.replace("\n  lr: 0.01\n", "\n  lr: 1e-2\n"))
    assert expunge("unlearn", "--from", tmp_path / "hand.yaml", "--out", tmp_path / "x")[0] == 0
    assert weights(tmp_path / "x") == weights(after)


def test_same_seed_same_bits_and_another_seed_others(before, after, tmp_path, expunge):
    words = before.unlearn("grad_ascent", tmp_path / "a", steps=4)
    assert expunge(*words)[0] == 0 and weights(tmp_path / "a") == weights(after)


def test_dry_run_changes_nothing(before, tmp_path, expunge):
    was = files(tmp_path)
    code, said, err = expunge(*before.unlearn("whp", tmp_path / "out", "--dry-run"))
    assert code == 0 and err == "" and files(tmp_path) == was
    for word in ("forget", "6 rows", "tokens", "steps", "memory", "time"):
        assert word in said, said


# ------------------------------------------------------------------ folders


def test_a_finished_folder(before, after, tmp_path, expunge, refused):
    out = tmp_path / "out"
    assert expunge(*before.unlearn("grad_ascent", out, steps=1))[0] == 0
    was = files(out)
    assert "is finished; pass --overwrite" in refused(*before.unlearn("npo", out))
    assert "would cut" in refused(*before.unlearn("npo", out, "--overwrite", "--max-length", "8"))
    assert "no model folder" in refused(
        *before.unlearn("npo", out, "--overwrite", "--model", "gone")
    )
    assert "layer 7" in refused(*before.unlearn("rmu", out, "--overwrite", "--layer", "7"))
    assert files(out) == was
    assert expunge(*before.unlearn("grad_ascent", out, "--overwrite", steps=4))[0] == 0
    assert weights(out) == weights(after) and not (out / ".replaced").exists()


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


# ------------------------------------------------------------------ interruptions


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


# ------------------------------------------------------------------ a disk that refuses


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


# ------------------------------------------------------------------ numbers that stop being numbers


def test_a_loss_that_is_no_number(before, tmp_path, refused, expunge):
    """float32 overflows at 3.4e38: a large step makes the next loss NaN.

    The run stops there and keeps the weights before.
    """
    out = tmp_path / "out"
    line = refused(
        *before.unlearn(
            "grad_diff",
            out,
            "--optimiser",
            "sgd",
            "--forget_weight",
            "1e16",
            "--lr",
            "9",
            "--clip",
            "0",
            steps=6,
        ),
        code=1,
    )
    assert "stage grad_diff: term " in line and " at step " in line and "smaller --lr" in line, line
    assert run_of(out)["status"] == "running" and not (out / "model").exists()
    kept = [word.rstrip(";") for word in line.split() if "checkpoint-" in word]
    assert len(kept) == 1
    from safetensors.torch import load_file

    tensors = load_file(kept[0] + "/model.safetensors")
    assert tensors and all(bool(t.isfinite().all()) for t in tensors.values())
    assert all(abs(entry["loss"]) < float("inf") for entry in log_of(out))


def test_an_argument_so_large_that_the_first_loss_overflows(before, tmp_path, refused):
    out = tmp_path / "out"
    line = refused(*before.unlearn("grad_diff", out, "--retain_weight", "1e39"), code=1)
    assert "term 'nll/retain' became inf at step 1" in line
    # resumes, and meets it again
    assert refused(*before.unlearn("grad_diff", out, "--retain_weight", "1e39"), code=1) == line
    assert "smaller --lr" in line and "--overwrite" in refused(*before.unlearn("grad_diff", out))


def test_a_gradient_that_overflows(before, tmp_path, refused):
    line = refused(
        *before.unlearn("grad_diff", tmp_path / "out", "--retain_weight", "1e30"), code=1
    )
    assert "the gradient became inf at step 1" in line and "'nll/retain'" in line


# ------------------------------------------------------------------ the shell


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
