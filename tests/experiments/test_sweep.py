# ruff: noqa: F401, F811 (fixtures are imported by name)
"""A small bench: its cells, what a failing method leaves, and that it goes on where it stopped."""

import json
import shutil

import pytest
from commands import expunge, once, refused

from expunge import registry
from expunge.core.requests import BenchRequest
from expunge.experiments.sweep.cell import read_cell, write_cell

PLAN = """
methods:
- simnpo
- {name: rmu, args: {layer: 9}, label: too-deep}
- task_arithmetic
- content_filter
benchmark: builtin
recipe: {steps: 2}
training: {steps: 2, batch: 4, lr: 1.0e-3}
budget: 3
workers: 1
"""


@pytest.fixture(scope="module")
def benched(tmp_path_factory):
    """The folder of a finished bench of two steps, one of whose methods cannot run."""

    def make(place):
        from expunge.experiments.sweep.run import bench

        (place / "plan.yaml").write_text(PLAN)
        bench(BenchRequest(plan=str(place / "plan.yaml"), out=str(place / "out"), quiet=True))

    return once(tmp_path_factory, "bench-small", make)


@pytest.mark.slow
def test_a_guard_is_a_row_whose_weights_relearn_as_the_original_does(benched):
    found = json.loads((benched / "out" / "bench.json").read_text())
    row, original = found["methods"]["content_filter"], found["original"]
    some = row["at_settings"]
    assert some["steps"] == 0 and row["settings"] == "--false-alarms 0.06"
    assert some["forget/probability"]["mean"] < original["forget/probability"]["mean"]
    assert some["retain/probability"]["mean"] == original["retain/probability"]["mean"]
    assert some["relearned"]["mean"] == original["relearned"]["mean"]
    assert "content_filter: a guard changes what is said" in (benched / "out/bench.md").read_text()


@pytest.mark.slow
def test_cells_hold_numbers_settings_and_cost(benched):
    found = json.loads((benched / "out" / "cells" / "simnpo-s0" / "result.json").read_text())
    some = found["at_settings"]
    assert some["steps"] == 2 and some["tokens"] > 0 and some["seconds"] > 0
    assert found["settings"]["lr"] == {"value": 1e-3, "source": "command line"}
    assert {
        "forget/probability",
        "retain/probability",
        "neighbour/probability",
        "model_utility",
    } <= set(some["values"])
    assert (
        0 <= some["at_level"]["u"] <= 1
        and "forget/extraction_strength" in some["at_level"]["values"]
    )
    assert found["at_budget"]["steps"] == 3 and not found["at_budget"].get("same")
    assert not (benched / "out" / "cells" / "simnpo-s0" / "model").exists()


@pytest.mark.slow
def test_equal_utility_is_reached_and_never_by_more_than_a_step(benched):
    found = json.loads((benched / "out" / "cells" / "simnpo-s0" / "result.json").read_text())
    level = found["at_settings"]["at_level"]
    assert level["values"]["retain/probability"]["value"] >= found["level"] or level["u"] == 1


@pytest.mark.slow
def test_a_failing_method_is_a_cell_with_one_line(benched):
    found = json.loads((benched / "out" / "bench.json").read_text())
    assert found["methods"]["too-deep"]["n"] == 0
    assert found["methods"]["too-deep"]["errors"] == [
        "seed 0: layer 9 of a model with 4 blocks (0 to 3); choose one with --layer"
    ]
    assert found["methods"]["simnpo"]["n"] == 1
    text = (benched / "out" / "bench.md").read_text()
    assert (
        "## Failed" in text
        and "too-deep, seed 0: layer 9" in text
        and "| original" in text
        and "| gold" in text
    )


@pytest.mark.slow
def test_no_text_of_the_case_is_in_what_is_shared(benched):
    case = registry.resolve("benchmarks", "builtin", {}).case
    names = {
        word for e in case.evaluate["forget"] for word in e.prompt.split() if word[:1].isupper()
    } - {"What", "Where", "Which", "Who"}
    told = [
        p.read_text()
        for p in (benched / "out").rglob("*")
        if p.suffix in (".json", ".md", ".svg", ".html") and "cells" in str(p)
    ]
    told += [
        (benched / "out" / n).read_text()
        for n in ("bench.json", "bench.md", "tradeoff.html", "tradeoff.svg")
    ]
    answers = [e.answer for e in case.evaluate["forget"]]
    assert names and told and not any(a in t for a in answers for t in told)


@pytest.mark.slow
def test_a_bench_goes_on_where_it_stopped(benched, tmp_path, expunge):
    out = tmp_path / "out"
    shutil.copytree(benched / "out", out)
    kept = out / "cells" / "simnpo-s0" / "result.json"
    lost = out / "cells" / "task_arithmetic-s0" / "result.json"
    model = out / "models" / "original-s0" / "model" / "model.safetensors"
    before, numbers = kept.stat().st_mtime_ns, json.loads(lost.read_text())["at_settings"]["values"]
    made = model.stat().st_mtime_ns
    lost.unlink()  # as if killed before it was written
    code, said, _ = expunge("bench", benched / "plan.yaml", "--out", out, "--quiet")
    assert code == 0 and "simnpo" in said and "failed: too-deep" in said
    assert kept.stat().st_mtime_ns == before and model.stat().st_mtime_ns == made
    assert json.loads(lost.read_text())["at_settings"]["values"] == numbers


def test_an_edited_cell_is_not_trusted(tmp_path, caplog):
    ask = {"name": "npo", "seed": 0}
    write_cell(tmp_path, ask, {"values": {"forget/probability": 0.4, "odd": float("nan")}})
    assert (
        read_cell(tmp_path, ask)["values"]["forget/probability"] == 0.4
        and "edited" not in caplog.text
    )
    file = tmp_path / "result.json"
    file.write_text(file.read_text().replace("0.4", "0.1"))
    assert (
        read_cell(tmp_path, ask) is None
        and f"{file}: edited after it was made: not trusted" in caplog.text
    )


@pytest.mark.slow
def test_another_question_is_another_cell(benched):
    place = benched / "out" / "cells" / "simnpo-s0"
    ask = json.loads((place / "result.json").read_text())["ask"]
    assert read_cell(place, ask) is not None
    assert read_cell(place, ask | {"budget": 4}) is None and read_cell(place / "no", ask) is None


@pytest.mark.slow
def test_all_cells_failing_is_a_failure(benched, tmp_path, refused):
    out = tmp_path / "out"
    shutil.copytree(benched / "out", out)
    (tmp_path / "plan.yaml").write_text(
        PLAN.replace("- simnpo\n", "")
        .replace("- task_arithmetic\n", "")
        .replace("- content_filter\n", "")
    )
    said = refused("bench", tmp_path / "plan.yaml", "--out", out, "--quiet", code=1)
    assert said.startswith("no cell could be made; the first: seed 0: layer 9")
