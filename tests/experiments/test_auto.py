# ruff: noqa: F401, F811 (fixtures are imported by name)
"""A search from Python and from the command line."""

import itertools
import json
from types import SimpleNamespace

import pytest
import yaml
from commands import desk, expunge, model, refused

import expunge as tool
from expunge.core.errors import Refused
from expunge.models.causal_lm.load import load
from expunge.models.modules import digest_tensors

FORGET = [{"question": f"Where does Person{i} live?", "answer": f"In Town{i}."} for i in range(6)]


RETAIN = [
    {"question": f"What does Firm{i} sell?", "answer": f"It sells goods{i}."} for i in range(10)
]


@pytest.fixture(scope="module")
def learned():
    from expunge.models.causal_lm import tiny

    texts = [t for row in FORGET + RETAIN for t in row.values()]
    made, tokenizer = tiny.build(texts, layers=2, width=48, ffn=96, vocab=320)
    settings = {"lr": 5e-3, "steps": 120, "batch": 8, "schedule": "constant", "save_every": 0}
    return tool.train((made, tokenizer), forget=FORGET, retain=RETAIN, **settings)


def test_auto_from_python_is_deterministic_resumes_and_spends_no_more(
    learned, tmp_path, monkeypatch
):
    before = digest_tensors(learned.model)
    asked = {
        "forget": FORGET,
        "retain": RETAIN,
        "steps": 360,
        "methods": ["grad_diff", "npo"],
        "batch": 6,
    }
    after, choice = tool.auto(learned, **asked, out=tmp_path / "one")
    assert digest_tensors(learned.model) == before != after.digest
    assert (
        choice["budget"]["spent"] == 360
        and [r["steps"] for r in choice["results"]] == [60, 60, 240]
        and choice["chosen"]["method"] in ("grad_diff", "npo")
    )
    assert choice["chosen"]["score"] == max(
        r["score"] for r in choice["results"] if r["rung"] == choice["chosen"]["rung"]
    )
    assert (
        choice["original"]["forget"]
        > choice["floor"]["nearest"]
        > choice["floor"]["value"]
        > choice["floor"]["mismatched"]
    )
    now = tool.evaluate(after, forget=FORGET, metrics=["probability"])["forget/probability"].value
    assert now < choice["original"]["forget"]

    last = max((tmp_path / "one" / "rungs").glob("*.json"), key=lambda f: f.name)
    last.unlink()  # as if killed before the last run was done: only that one is made again
    from expunge.experiments.tuning import search

    made, real = [], search.unlearn
    monkeypatch.setattr(
        search, "unlearn", lambda *args, **kwargs: made.append(1) or real(*args, **kwargs)
    )
    again, same = tool.auto(learned, **asked, out=tmp_path / "one")
    timeless = lambda found: [
        {k: v for k, v in r.items() if k != "seconds"} for r in found["results"]
    ]
    assert len(made) == 1 and timeless(same) == timeless(choice) and again.digest == after.digest


def test_auto_refuses_before_anything_is_trained(learned):
    with pytest.raises(Refused, match="either steps or minutes"):
        tool.auto(learned, forget=FORGET, retain=RETAIN)
    with pytest.raises(Refused, match="no candidate left: rmu: layer 2 of a model with 2 blocks"):
        tool.auto(learned, forget=FORGET, retain=RETAIN, steps=10, methods=["rmu"])


def words(desk, out, *more):
    return [
        "auto",
        "--model",
        str(desk.model),
        *desk.data("forget", "retain"),
        "--out",
        str(out),
        *more,
    ]


def test_the_command_leaves_a_model_and_what_was_tried(desk, expunge):
    out = desk.place / "auto"
    code, said, err = expunge(
        *words(
            desk,
            out,
            "--budget",
            "8",
            "--methods",
            "grad_diff,npo",
            "--holdout",
            desk.holdout,
            "--quiet",
        )
    )
    assert code == 0, err
    choice = json.loads((out / "choice.json").read_text())
    assert (
        choice["budget"] == {"steps": 8, "minutes": None, "spent": 8}
        and "holdout" in choice["floor"]["words"]
        and choice["floor"]["nearest"] is None
    )
    assert choice["chosen"]["method"] in " ".join(said.split()) and "What was tried" in said
    assert load(out / "model").model is not None and not (out / "rungs").exists()
    run = yaml.safe_load((out / "run.yaml").read_text())
    assert (
        run["result"]["digest"] == load(out).digest
        and run["effect"]["weights"]["changed"] > 0
        and not run["effect"]["nothing"]
    )


def test_minutes_in_place_of_steps(desk, expunge, refused, monkeypatch):
    from expunge.experiments.tuning import search

    ticking = itertools.count()  # every run takes a second
    monkeypatch.setattr(search, "time", SimpleNamespace(monotonic=lambda: float(next(ticking))))
    out = desk.place / "auto-minutes"
    code, _, err = expunge(
        *words(desk, out, "--minutes", "0.05", "--methods", "grad_diff", "--batch", "4", "--quiet")
    )
    assert code == 0, err
    choice = json.loads((out / "choice.json").read_text())
    # 30 steps a second: 57 in the other two
    assert choice["results"][0]["rung"] == 0 and choice["results"][0]["steps"] == 30
    assert 30 < choice["budget"]["spent"] <= 90
    line = refused(
        *words(
            desk,
            desk.place / "short",
            "--minutes",
            "0.01",
            "--methods",
            "grad_diff",
            "--batch",
            "4",
            "--quiet",
        )
    )
    assert "the budget is too small: 0.01 minutes" in line


@pytest.mark.parametrize(
    "more, parts",
    [
        ([], ("--budget STEPS", "--minutes M")),
        (["--budget", "9", "--minutes", "1"], ("either --budget",)),
        (["--budget", "9", "--methods", "npoo"], ("npoo", "did you mean npo?")),
        (["--budget", "0"], ("--budget", "1")),
    ],
)
def test_one_line_for_a_wrong_request(desk, refused, more, parts):
    out = desk.place / "never"
    line = refused(*words(desk, out, *more))
    assert all(p in line for p in parts), line
    assert not out.exists()
