# ruff: noqa: F401, F811 (fixtures are imported by name)
"""Benchmarks with stages: each stage begins where it should, and a walk that stopped goes on."""

import json

import pytest
from commands import expunge, facts, model, refused, weights
from staged_rows import FOLDERS, NAMES, SHORT, muse_rows, r_tofu_rows, tofu

from expunge.core.requests import UnlearnRequest
from expunge.pipeline.settings import case_of
from expunge.runs.folder import read_run


def test_each_request_begins_with_the_model_that_the_last_one_left(tofu, model, expunge, tmp_path):
    out = tmp_path / "out"
    assert expunge("unlearn", "npo", "--model", model, *tofu, *SHORT, "--out", out)[:2] == (
        0,
        f"{out}\n",
    )
    runs = [read_run(out / f) for f in FOLDERS]
    assert [r["model"]["source"] for r in runs] == [
        str(model),
        *(str(out / f) for f in FOLDERS[:2]),
    ]
    assert [r["data"]["forget"]["n"] for r in runs] == [4, 4, 4] and len(
        {weights(out / f) for f in FOLDERS}
    ) == 3
    assert len({r["data"]["forget"]["digest"] for r in runs}) == 3
    whole = read_run(out)
    assert (
        whole["stages"] == dict(zip(NAMES, FOLDERS, strict=True)) and whole["status"] == "finished"
    )
    # by hand, a request at a time: the same bits
    left = model
    for folder, name in zip(FOLDERS, NAMES, strict=True):
        asked = (
            "--model",
            left,
            *tofu,
            *SHORT,
            "--stage",
            name,
            "--out",
            tmp_path / "alone" / folder,
        )
        assert expunge("unlearn", "npo", *asked)[0] == 0
        left = tmp_path / "alone" / folder
        assert weights(left) == weights(out / folder)


def test_growing_folds_begin_with_the_original(model, expunge, tmp_path):
    case = ("--benchmark", "muse:news:scal", "--data", muse_rows(tmp_path))
    assert (
        expunge("unlearn", "grad_diff", "--model", model, *case, *SHORT, "--out", tmp_path / "out")[
            0
        ]
        == 0
    )
    runs = [read_run(tmp_path / "out" / f"{k}-forget_{k}") for k in range(1, 5)]
    assert [r["data"]["forget"]["n"] for r in runs] == [4, 8, 12, 16] and {
        r["model"]["source"] for r in runs
    } == {str(model)}
    by_option = UnlearnRequest(benchmark="muse:news", subset="scal", data=str(tmp_path))
    assert (
        case_of(by_option)[0]
        == case_of(UnlearnRequest(benchmark="muse:news:scal", data=str(tmp_path)))[0]
    )


def test_a_walk_that_was_stopped_goes_on(tofu, model, expunge, refused, tmp_path, monkeypatch):
    from expunge.pipeline import unlearn

    out, words = tmp_path / "out", ("unlearn", "npo", "--model", model, *tofu, *SHORT, "--out")
    assert expunge(*words, tmp_path / "straight")[0] == 0
    applied, done = unlearn.run_stage, []

    def stopping(request, *rest):
        if request.stage == NAMES[1]:
            raise KeyboardInterrupt
        done.append(request.stage)
        return applied(request, *rest)

    monkeypatch.setattr(unlearn, "run_stage", stopping)
    assert expunge(*words, out)[0] == 130 and done == [NAMES[0]]
    assert "not all of its stages are finished" in refused(
        "eval", "--model", out, *tofu, "--out", tmp_path / "e"
    )
    monkeypatch.setattr(
        unlearn,
        "run_stage",
        lambda request, *rest: done.append(request.stage) or applied(request, *rest),
    )
    assert expunge(*words, out)[0] == 0 and done == list(NAMES)
    assert [weights(out / f) for f in FOLDERS] == [
        weights(tmp_path / "straight" / f) for f in FOLDERS
    ]
    assert "is finished; pass --overwrite" in refused(*words, out)
    assert (
        expunge(*words, out, "--overwrite", "--seed", 1)[0] == 0
        and read_run(out / FOLDERS[2])["seed"] == 1
    )


def test_a_refusal_in_a_later_stage_takes_no_earlier_one_away(
    tofu, model, expunge, refused, tmp_path, monkeypatch
):
    from expunge.core.errors import Refused
    from expunge.pipeline import unlearn

    applied, out = unlearn.run_stage, tmp_path / "out"

    def refusing(request, *rest):
        if request.stage == NAMES[2]:
            raise Refused("no")
        return applied(request, *rest)

    monkeypatch.setattr(unlearn, "run_stage", refusing)
    assert refused("unlearn", "npo", "--model", model, *tofu, *SHORT, "--out", out) == "no"
    assert sorted(p.name for p in out.iterdir() if p.is_dir()) == list(FOLDERS[:2])


def test_another_original_is_not_mixed_in(expunge, model, refused, tmp_path, monkeypatch):
    """Folds that all begin with the original must begin with the same one, also when a walk is
    resumed.
    """
    import shutil

    import torch
    from safetensors.torch import load_file, save_file

    from expunge.core.files import write_manifest
    from expunge.pipeline import unlearn

    mine = shutil.copytree(model, tmp_path / "mine")
    applied = unlearn.run_stage
    case = ("--benchmark", "muse:news:scal", "--data", muse_rows(tmp_path))
    words = ("unlearn", "grad_diff", "--model", mine, *case, *SHORT, "--out", tmp_path / "out")

    def stopping(request, *rest):
        if request.stage == "forget_2":
            raise KeyboardInterrupt
        return applied(request, *rest)

    monkeypatch.setattr(unlearn, "run_stage", stopping)
    assert expunge(*words)[0] == 130
    monkeypatch.setattr(unlearn, "run_stage", applied)
    found = load_file(mine / "model.safetensors")
    save_file(
        {k: v + torch.ones_like(v) for k, v in found.items()},
        mine / "model.safetensors",
        metadata={"format": "pt"},
    )
    write_manifest(mine)
    assert "the model changed since this run was begun" in refused(*words)


def test_a_dry_run_lists_the_stages(tofu, model, expunge, tmp_path):
    said = expunge(
        "unlearn", "npo", "--model", model, *tofu, *SHORT, "--dry-run", "--out", tmp_path / "out"
    )[1]
    heads = [line.split() for line in said.splitlines() if "begins with" in line]
    assert heads == [
        [f, "begins", "with", m]
        for f, m in zip(
            FOLDERS, (str(model), *(str(tmp_path / "out" / f) for f in FOLDERS)), strict=False
        )
    ]
    assert said.count("forget                   4 rows") == 3 and not (tmp_path / "out").exists()


def test_an_adapter_goes_on(tofu, model, expunge, refused, tmp_path):
    """One adapter over all requests, on the user's own base."""
    from expunge.models.causal_lm.load import load

    out = tmp_path / "out"
    assert (
        expunge(
            "unlearn",
            "rmu",
            "--layer",
            1,
            "--model",
            model,
            *tofu,
            *SHORT,
            "--lora",
            2,
            "--out",
            out,
        )[0]
        == 0
    )
    made = [load(out / f) for f in FOLDERS]
    assert {m.model.peft_config["default"].base_model_name_or_path for m in made} == {
        str(model)
    } and len({m.digest for m in made}) == 3
    first = out / FOLDERS[0]
    said = refused(
        "unlearn",
        "npo",
        "--model",
        first,
        *tofu,
        *SHORT,
        "--lora",
        4,
        "--stage",
        NAMES[1],
        "--out",
        tmp_path / "o",
    )
    assert said == f"--lora 4: {first} is an adapter of rank 2 that goes on; give --lora 2"


def test_answers_of_other_requests_may_stand_in_the_same_file(
    tofu, model, expunge, refused, tmp_path
):
    rows = [{"question": q, "answer": "I do not know."} for q, _ in facts("Zorblat", 12)]
    (tmp_path / "idk.json").write_text(json.dumps(rows))
    asked = (
        "unlearn",
        "idk",
        "--model",
        model,
        *tofu,
        *SHORT,
        "--alternate",
        tmp_path / "idk.json",
    )
    assert expunge(*asked, "--out", tmp_path / "out")[0] == 0
    (tmp_path / "idk.json").write_text(json.dumps(rows[:6]))
    assert "2 forget rows have no row in it" in refused(*asked, "--out", tmp_path / "none")
    assert not (tmp_path / "none").exists()  # request_2 is refused before request_1 is trained


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ("r_tofu:forget01", "--stage", "request_9"),
            "r_tofu:forget01 has no stage 'request_9'; did you mean request_3? there are: "
            "request_1, request_2, request_3",
        ),
        (
            ("builtin", "--stage", "request_1"),
            "--stage request_1: builtin has no stages; leave --stage away",
        ),
        (
            ("muse:news:scall",),
            "muse has no subset 'scall'; did you mean scal? there are: open-unlearning, scal, sust",
        ),
    ],
)
def test_unknown_stages(words, told, model, refused, tmp_path):
    r_tofu_rows(tmp_path), muse_rows(tmp_path)
    for verb in (("unlearn", "npo"), ("eval",)):
        said = refused(
            *verb,
            "--model",
            model,
            "--data",
            tmp_path,
            "--benchmark",
            *words,
            "--out",
            tmp_path / "out",
        )
        assert said == told and not (tmp_path / "out").exists()


def test_a_stage_without_a_benchmark(model, refused, tmp_path):
    rows = tmp_path / "rows.jsonl"
    rows.write_text(json.dumps({"question": "Q?", "answer": "A"}))
    said = refused(
        "unlearn",
        "npo",
        "--model",
        model,
        "--forget",
        rows,
        "--stage",
        "a",
        "--out",
        tmp_path / "out",
    )
    assert said == "--stage a: only a benchmark has stages; give --benchmark, or leave --stage away"


def test_what_stages_lack_can_be_brought(model, tmp_path):
    """The user's rows stand in every stage where the benchmark brings none."""
    from expunge.pipeline.unlearn import resolve

    muse_rows(tmp_path)
    (tmp_path / "muse/news/raw/retain1.json").unlink()
    kept = tmp_path / "kept.json"
    kept.write_text(json.dumps([{"text": f"kept {i}"} for i in range(5)]))
    request = UnlearnRequest(
        benchmark="muse:news:scal", data=str(tmp_path), retain=str(kept), model=str(model)
    )
    bench, case = case_of(request)
    assert (
        all(len(stage.train["retain"]) == 5 for stage in bench.stages.values())
        and len(case.train["retain"]) == 5
    )
