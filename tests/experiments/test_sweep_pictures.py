"""A bench of image classifiers: original and gold of its own training, no column of texts."""

import json

import pytest

from expunge.core.requests import BenchRequest
from expunge.experiments.sweep.run import bench

PLAN = """
methods: [grad_diff, npo, random_labels]
benchmark: digits:class-3
recipe: {steps: 2, batch: 8}
training: {steps: 2, batch: 8, lr: 1.0e-3}
relearn: {relearn_steps: 2}
level: 0.01
workers: 1
"""


@pytest.mark.slow
def test_classifiers_are_benched_without_what_needs_texts(tmp_path):
    (tmp_path / "plan.yaml").write_text(PLAN)
    out = tmp_path / "out"
    bench(BenchRequest(plan=str(tmp_path / "plan.yaml"), out=str(out), quiet=True))
    found = json.loads((out / "bench.json").read_text())
    assert {name: row["errors"] for name, row in found["methods"].items()} == {
        "grad_diff": [],
        "npo": [],
        "random_labels": [],
    }
    for row in found["methods"].values():
        some = row["at_settings"]
        assert some["steps"] == 2 and 0 <= some["forget/probability"]["mean"] <= 1
        assert some["relearned"]["mean"] is not None and some["garbled"]["mean"] is None
    page, drawn = (out / "bench.md").read_text(), (out / "tradeoff.html").read_text()
    assert "probability of the right class" in page
    for words in ("garbled", "tokens", "extraction", "ROUGE", "right answer", "questions"):
        assert words not in page and words not in drawn
