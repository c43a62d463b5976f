# ruff: noqa: F401, F811 (fixtures are imported by name)
"""Benchmarks judged by the command on small models, from real rows to measurements.json."""

import json

import pytest
from benchmark_rows import STEPHEN, data, no_folder_from_outside

from expunge.benchmarks.counterfact import counterfact
from expunge.evaluation.store import read_records


def test_judged_by_the_command_on_a_small_model(data, tmp_path):
    """What a user runs: questions with options, and facts with a neighbor, from rows to
    measurements.json.
    """
    from expunge.core.requests import EvalRequest
    from expunge.models.causal_lm import tiny
    from expunge.models.causal_lm.model import Subject
    from expunge.models.causal_lm.save import save
    from expunge.pipeline.evaluate import run_evaluate

    texts = [e.prompt + e.answer for e in counterfact("20", data=str(data)).case.train["full"]]
    save(Subject(*tiny.build(texts, seed=0), "tiny"), tmp_path / "model", card="")
    asked = {"model": str(tmp_path / "model"), "quiet": True}
    run = run_evaluate(
        EvalRequest(
            **asked, benchmark="counterfact:20", data=str(data), out=str(tmp_path / "facts")
        )
    )
    found = json.loads((run / "measurements.json").read_text())
    assert (
        found["locality/preference_accuracy"]["n"] == 20
        and found["forget/preference_accuracy"]["better"] == "gold"
    )
    run = run_evaluate(
        EvalRequest(
            **asked, benchmark="mmlu:anatomy", data=str(data / STEPHEN), out=str(tmp_path / "mmlu")
        )
    )
    found = json.loads((run / "measurements.json").read_text())
    assert set(found) == {
        "schema",
        *(f"mmlu/{m}" for m in ("choice_accuracy", "choice_accuracy_text", "letter_bias")),
    }
    assert (
        sum(found["mmlu/letter_bias"]["parts"].values()) == pytest.approx(1)
        and found["mmlu/choice_accuracy"]["n"] == 3
    )
    assert read_records(run / "records").of("mmlu", "letters/3")
    save(Subject(*tiny.build(texts, seed=1), "tiny"), tmp_path / "before", card="")
    beside = {
        "original": str(tmp_path / "before"),
        "benchmark": "conceptvectors:llama2-7b:Poland",
        "data": str(data),
    }
    run = run_evaluate(
        EvalRequest(
            **asked, **beside, metrics=("likeness_to_original",), out=str(tmp_path / "concept")
        )
    )
    found = json.loads((run / "measurements.json").read_text())
    assert (
        found["forget_qa/likeness_to_original"]["n"] == 10
        and 0 <= found["unrelated_qa/likeness_to_original"]["value"] < 1
    )
