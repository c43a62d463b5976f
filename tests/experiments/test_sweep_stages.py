# ruff: noqa: F401, F811 (fixtures are imported by name)
"""expunge bench on a benchmark with stages: the same models as the commands leave, tables and
drawings from stage to stage.
"""

import json

import pytest
from commands import expunge, model
from staged_rows import SHORT, muse_rows
from sweep_cells import made

from expunge.experiments.sweep.gather import spread
from expunge.experiments.sweep.stages import curves, keys_of, names_of, tables

FOLDS = tuple(f"forget_{k}" for k in range(1, 5))
PLAN = """
methods: [npo, {name: grad_diff, label: gd}]
benchmark: muse:news:%s
training: {steps: 2, batch: 4, lr: 1.0e-2}
workers: 1
"""


def rows(place):
    """The folds that grow, and as many that follow one another."""
    muse_rows(place)
    for k, fold in enumerate(FOLDS):
        file = place / "muse/news/sust" / f"{fold}.json"
        file.parent.mkdir(exist_ok=True)
        file.write_text(
            json.dumps(
                [
                    {"text": f"Zorblat{4 * k + i} dwells in the valley of Zorblatia."}
                    for i in range(4)
                ]
            )
        )
    return place


@pytest.mark.slow
@pytest.mark.parametrize("folds", ["sust", "scal"])
def test_a_bench_leaves_what_the_commands_leave(model, expunge, tmp_path, folds):
    (tmp_path / "plan.yaml").write_text(PLAN % folds)
    place, out = rows(tmp_path), tmp_path / "bench"
    code, said, err = expunge(
        "bench",
        tmp_path / "plan.yaml",
        "--model",
        model,
        "--gold",
        model,
        "--data",
        place,
        "--out",
        out,
        "--budget",
        1,
        "--quiet",
    )
    assert code == 0 and "failed" not in said, said + err
    case = ("--benchmark", f"muse:news:{folds}", "--data", place)
    assert (
        expunge(
            "unlearn",
            "npo",
            "--model",
            model,
            *case,
            *SHORT,
            "--seed",
            0,
            "--out",
            tmp_path / "npo",
        )[0]
        == 0
    )
    judging = ("--metrics", "probability,privleak,rouge_l_f1", "--quiet")
    assert (
        expunge("eval", "--model", tmp_path / "npo", *case, *judging, "--out", tmp_path / "eval")[0]
        == 0
    )
    cell = json.loads((out / "cells/npo-s0/result.json").read_text())
    for k, fold in enumerate(FOLDS, 1):
        found = cell["at_settings"]["stages"][fold]
        told = json.loads((tmp_path / "eval" / f"{k}-{fold}" / "measurements.json").read_text())
        for key in (
            "forget/probability",
            "retain/probability",
            "privleak",
            "retain_knowmem/rouge_l_f1",
        ):
            assert found["values"][key]["value"] == pytest.approx(
                told[key]["value"], rel=1e-6, abs=1e-9
            ), (fold, key)
        assert found["steps"] == 2
    assert cell["at_settings"]["values"] == found["values"] and cell["at_settings"]["steps"] == 8
    assert {fold: s["steps"] for fold, s in cell["at_budget"]["stages"].items()} == dict.fromkeys(
        FOLDS, 1
    )
    page = (out / "bench.md").read_text()
    assert (
        "## Stage by stage" in page
        and "### retain_knowmem/rouge_l_f1" in page
        and "| forget_3 " in page
    )
    assert (
        "retain_knowmem/rouge_l_f1" in (out / "stages.svg").read_text()
        and "Stage by stage" in (out / "tradeoff.html").read_text()
    )
    assert not any(
        word in page + (out / "stages.svg").read_text() for word in ("Zorblat", "Mimsy", "Quillion")
    )


def test_a_bench_needs_rows_to_compare_by(model, expunge, tmp_path):
    rows(tmp_path)
    for role in ("forget", "retain", "holdout"):
        (tmp_path / f"muse/news/privleak/{role}.json").unlink()
    words = (
        "bench",
        "--methods",
        "npo",
        "--benchmark",
        "muse:news",
        "--model",
        model,
        "--data",
        tmp_path,
        "--out",
        tmp_path / "o",
    )
    code, _, err = expunge(*words)
    *left_out, last = err.splitlines()
    assert code == 2 and left_out and all("left out" in line for line in left_out)
    assert last == (
        "expunge: muse:news asks no forget or no retain rows, by which a bench compares; use "
        "expunge unlearn and expunge eval"
    )


def staged(n, values):
    """A gathered bench of n invented methods over stages; ``values``: forget probability after
    each.
    """
    found = made(n)
    for i, row in enumerate(found["methods"].values()):
        row["at_settings"]["stages"] = {
            f"request_{k}": {
                "forget/probability": spread([v + i / 100]),
                "retain/rouge_l_f1": spread([None]),
                "privleak": spread([-90 * v]),
            }
            for k, v in enumerate(values, 1)
        }
    return found


def test_a_row_for_each_method_and_a_column_for_each_stage():
    text = "\n".join(tables(staged(2, (0.5, 0.25, 0.125))))
    row = next(line for line in text.splitlines() if line.startswith("| method_number_0"))
    assert [c.strip() for c in row.split("|")[1:-1]] == [
        "method_number_0",
        ".95 [.95 .95]",
        ".50",
        ".25",
        ".12",
        ".10 [.10 .10]",
    ]
    # what no stage has a number of is left away
    assert "### privleak" in text and "rouge" not in text


@pytest.mark.parametrize("n", [1, 3, 45])
def test_every_method_and_metric_is_drawn(n):
    found = staged(n, (0.5, 0.25, 0.125))
    assert names_of(found) == ["request_1", "request_2", "request_3"] and keys_of(found) == [
        "forget/probability",
        "privleak",
    ]
    drawn = str(curves(found))
    assert (
        all(f"method_number_{i}<" in drawn for i in range(n))
        and drawn.count('stroke-width="1.6"') == 2 * n
    )
    assert (
        "privleak<" in drawn
        and "original<" in drawn
        and "gold<" in drawn
        and "nan" not in drawn
        and "http" not in drawn
    )


def test_without_stages_nothing_is_drawn():
    assert tables(made(2)) == [] and names_of(made(2)) == []
