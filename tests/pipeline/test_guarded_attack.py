# ruff: noqa: F401, F811 (fixtures are imported by name)
"""A model behind a guard under attack: who can only ask meets the guard, who has the weights does
not; and the same in Python.
"""

import json

import pytest
from commands import desk, expunge, facts, model

import expunge as face
from expunge.core.errors import Refused
from expunge.models.causal_lm.load import load
from expunge.report.load import find
from expunge.report.notices import notices


@pytest.fixture
def made(desk, expunge):
    out = desk.place / "filter"
    words = ["--model", desk.model, *desk.data(), "--out", out, "--quiet"]
    assert expunge("guard", "content_filter", *words)[0] == 0
    return out


def start(desk, expunge, attack, source, *more):
    """What is measured before the attack begins."""
    out = desk.place / f"{attack}-{source.name}"
    words = ["--model", source, *desk.data(), "--out", out, "--quiet", *more]
    assert expunge("attack", attack, *words)[0] == 0
    (curve,) = json.loads((out / "curves.json").read_text())["curves"]
    return curve["forget/probability"][0]["value"]


def test_relearning_acts_on_the_weights_behind_and_asking_meets_the_guard(desk, expunge, made):
    steps = ["--relearn-steps", "1", "--share", "0.5"]
    bare = start(desk, expunge, "relearn", desk.model, *steps)
    assert start(desk, expunge, "relearn", made, *steps) == bare
    assert start(desk, expunge, "reword", made, "--wordings", "1") < 1e-6 < bare


def test_the_report_says_that_it_suppresses(desk, expunge, made):
    words = ["--metrics", "probability", "--out", desk.place / "judged", "--quiet"]
    assert expunge("eval", "--model", made, *desk.data(), *words)[0] == 0
    told = notices(find([desk.place / "judged"]))
    assert any("suppressed, not forgotten" in line for line in told)


def test_in_python(desk):
    rows = {
        "forget": [{"question": q, "answer": a} for q, a in facts("Zorblat", 6)],
        "retain": [{"question": q, "answer": a} for q, a in facts("Mimsy", 8)],
    }
    base = load(desk.model)
    after = face.guard(base, "content_filter", **rows)
    found = face.evaluate(after, **rows, metrics=["probability"])
    plain = face.evaluate(base, **rows, metrics=["probability"])
    assert found["forget/probability"].value < 1e-6
    assert found["retain/probability"].value == plain["retain/probability"].value
    with pytest.raises(Refused, match="no weights of its own"):
        face.unlearn(after, "grad_ascent", **rows, steps=1)
    with pytest.raises(Refused, match="lacks"):
        face.evaluate(after, **rows, metrics=["logit_lens"])


def test_another_model_behind_the_guard_is_refused(desk, expunge, made):
    told = made / "guard" / "guard.json"
    told.write_text(told.read_text().replace('"digest": "', '"digest": "0'))
    code, _, err = expunge("ask", "--model", made, "Where?")
    assert code == 2 and "guard.json" in err
