# ruff: noqa: F401, F811 (fixtures are imported by name)
"""Commands as a person types them, and what their run folders hold."""

import json
import stat

import pytest
import yaml
from command_runs import SETTINGS, after, before, log_of, run_of, steps_of
from commands import SECRETS, expunge, facts, files, model, refused, weights


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
