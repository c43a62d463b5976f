# ruff: noqa: F401, F811 (fixtures are imported by name)
"""Every stage of a walk is judged by what it asks."""

import json
from pathlib import Path

import yaml
from another import another
from commands import expunge, model, refused
from staged_rows import FOLDERS, NAMES, SHORT, r_tofu_rows, tofu

from expunge.core.requests import UnlearnRequest
from expunge.pipeline.sequential import parts_of
from expunge.pipeline.settings import case_of
from expunge.runs.folder import read_run


def test_every_stage_is_judged_by_what_it_asks(
    tofu, model, expunge, refused, tmp_path, monkeypatch
):
    from expunge.evaluation import evaluate

    monkeypatch.delenv("EXPUNGE_CACHE", raising=False)
    out, judged = tmp_path / "out", tmp_path / "judged"
    assert expunge("unlearn", "npo", "--model", model, *tofu, *SHORT, "--out", out)[0] == 0
    measured, seen = evaluate.measured, []
    monkeypatch.setattr(
        evaluate,
        "measured",
        lambda *a, **k: seen.append((k["name"], found := measured(*a, **k))) or found,
    )
    words = (
        "eval",
        "--gold",
        another(model, tmp_path / "gold"),
        *tofu,
        "--metrics",
        "probability",
        "--quiet",
    )
    code, said, _ = expunge(*words, "--model", out, "--out", judged)
    assert code == 0 and all(name in said for name in NAMES)
    found = [json.loads((judged / f / "measurements.json").read_text()) for f in FOLDERS]
    assert [f["forget/probability"]["n"] for f in found] == [4, 8, 12] and [
        f["retain/probability"]["n"] for f in found
    ] == [8, 8, 8]
    assert [read_run(judged / f)["label"] for f in FOLDERS] == list(FOLDERS)
    # gold's retain rows were measured once for all stages, and nothing of that is left
    assert (
        not (judged / ".passes").exists()
        and sum(cost.rows for name, (_, cost) in seen if name == "gold") < 3 * (8 + 8) + 2 * 24
    )
    one = ("--model", out, "--stage", NAMES[1], "--out", tmp_path / "one")
    assert expunge(*words, *one)[0] == 0
    assert json.loads((tmp_path / "one/measurements.json").read_text()) == found[1]
    assert refused(*words, "--model", out, "--stage", "request_9", "--out", "o").startswith(
        f"{out} has no stage 'request_9'; did you mean"
    )
    # a model that no stage left is asked everything
    assert expunge(*words, "--model", model, "--out", tmp_path / "original")[0] == 0
    assert (
        json.loads((tmp_path / "original/measurements.json").read_text())["forget/probability"]["n"]
        == 12
    )
    assert expunge("report", out, judged, "--out", tmp_path / "report.html")[0] == 0
    assert all(f in (tmp_path / "report.html").read_text() for f in FOLDERS)


def test_the_folder_of_a_walk_is_no_model(tofu, model, expunge, refused, tmp_path):
    assert (
        expunge(
            "unlearn", "grad_ascent", "--model", model, *tofu, *SHORT, "--out", tmp_path / "out"
        )[0]
        == 0
    )
    said = refused("ask", "--model", tmp_path / "out", "who?")
    assert (
        said == f"{tmp_path / 'out'}: no *.safetensors weights in this folder; its models are in "
        f"{', '.join(FOLDERS)}"
    )


def test_parts_are_requests_of_their_own(tmp_path):
    """``expunge unlearn --from OUT/2-NAME/run.yaml`` does one of them again."""
    request = UnlearnRequest(
        benchmark="r_tofu:forget01",
        data=str(r_tofu_rows(tmp_path)),
        model="m",
        out="o",
        overwrite=True,
    )
    parts = parts_of(request, case_of(request)[0])
    assert [(p.stage, p.model, p.out, p.overwrite) for p in parts][1] == (
        NAMES[1],
        str(Path("o") / FOLDERS[0]),
        str(Path("o") / FOLDERS[1]),
        False,
    )
    assert UnlearnRequest.from_json(yaml.safe_load(yaml.safe_dump(parts[1].as_json()))) == parts[1]
