"""An image classifier all the way: trained, made to forget, judged beside gold, attacked, shown."""

import json

import pytest

from expunge.core.attack_request import AttackRequest
from expunge.core.card import Call
from expunge.core.errors import Refused
from expunge.core.requests import EvalRequest, ReportRequest, TrainRequest, UnlearnRequest
from expunge.pipeline.attack import attack
from expunge.pipeline.evaluate import run_evaluate
from expunge.pipeline.report import run_report
from expunge.pipeline.train import run_train
from expunge.pipeline.unlearn import run_unlearn

CASE = {"benchmark": "digits:class-3", "quiet": True}
FAST = {"lr": 5e-4, "steps": 30, "batch": 32, "schedule": "constant"}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder with the original and gold, each trained for a few epochs."""
    place = tmp_path_factory.mktemp("digits")
    for name, on in (("original", "full"), ("gold", "retain")):
        out = str(place / name)
        run_train(TrainRequest(model="tiny", on=on, epochs=12, out=out, save_every=0, **CASE))
    return place


def judged(runs, name):
    """role/metric -> value of a model beside gold."""
    out = runs / f"eval-{name}"
    if not out.exists():
        model, gold = str(runs / name), str(runs / "gold")
        run_evaluate(EvalRequest(model=model, gold=gold, out=str(out), **CASE))
    found = json.loads((out / "measurements.json").read_text())
    return {key: m["value"] for key, m in found.items() if key != "schema"}


def forgotten(runs, method):
    out = runs / method
    if not out.exists():
        run_unlearn(
            UnlearnRequest(
                method=Call(method, {}), model=str(runs / "original"), out=str(out), **FAST, **CASE
            )
        )
    return out


def test_the_original_knows_what_gold_does_not(runs):
    original = judged(runs, "original")
    assert original["forget/accuracy"] > 0.9 and original["retain/accuracy"] > 0.9
    assert original["test/accuracy"] > 0.85 and original["mia_reference"] is not None


@pytest.mark.parametrize(
    "method", ["grad_diff", "random_labels", pytest.param("npo", marks=pytest.mark.slow)]
)
def test_it_forgets_the_class_and_keeps_the_others(runs, method):
    forgotten(runs, method)
    found = judged(runs, method)
    assert found["forget/probability"] < judged(runs, "original")["forget/probability"] - 0.3
    if method != "random_labels":  # it has no retain term
        assert found["retain/accuracy"] > judged(runs, "original")["retain/accuracy"] - 0.2


@pytest.mark.parametrize("name", [pytest.param("relearn", marks=pytest.mark.slow), "quantize"])
def test_it_is_attacked_with_gold_as_control(runs, name):
    forgotten(runs, "grad_diff")
    out = runs / f"attack-{name}"
    attack(
        AttackRequest(
            attack=Call(name, {}),
            model=str(runs / "grad_diff"),
            gold=str(runs / "gold"),
            out=str(out),
            **CASE,
        )
    )
    curves = json.loads((out / "curves.json").read_text())["curves"]
    assert [c["kind"] for c in curves] == ["unlearned", "gold"]


def test_the_report_shows_accuracy_and_no_texts(runs):
    forgotten(runs, "grad_diff")
    judged(runs, "grad_diff")
    page = runs / "report.html"
    run_report(
        ReportRequest(runs=(str(runs / "eval-grad_diff"), str(runs / "grad_diff")), out=str(page))
    )
    text = page.read_text()
    assert "accuracy" in text and "questions, the first of each role" not in text


def test_a_method_that_writes_texts_is_refused_in_one_line(runs):
    with pytest.raises(Refused, match=r"idk makes texts .* is an image classifier"):
        forgotten(runs, "idk")


def test_a_metric_that_reads_what_is_written_is_refused(runs):
    with pytest.raises(Refused, match="writes no answers"):
        run_evaluate(
            EvalRequest(
                model=str(runs / "original"),
                metrics=("rouge_l_recall",),
                out=str(runs / "x"),
                **CASE,
            )
        )
