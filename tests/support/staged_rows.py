# ruff: noqa: F401 (fixtures are imported by name)
"""Rows of benchmarks with stages, and the words of a short run over them."""

import json

import pytest
from commands import expunge, facts, model

SHORT = ("--steps", 2, "--batch", 4, "--lr", "1e-2", "--quiet")


NAMES = ("request_1", "request_2", "request_3")


FOLDERS = tuple(f"{i}-{name}" for i, name in enumerate(NAMES, 1))


def r_tofu_rows(place):
    """Three requests of four rows, and eight rows to keep."""
    row = lambda i, qa, **more: (
        {"question": qa[0], "answer": qa[1], "cot": f"It is number {i}."} | more
    )
    forget = [row(i, qa, task_id=str(1 + i // 4)) for i, qa in enumerate(facts("Zorblat", 12))]
    for name, rows in (
        ("forget01", forget),
        ("retain99", [row(i, qa) for i, qa in enumerate(facts("Mimsy", 8))]),
    ):
        (place / "r_tofu").mkdir(exist_ok=True)
        (place / "r_tofu" / f"{name}.json").write_text(json.dumps(rows))
    return place


def muse_rows(place):
    """Four folds that hold one another, of texts of one sentence."""
    say = lambda name, n: [
        {"text": f"{name}{i} dwells in the valley of {name}ia."} for i in range(n)
    ]
    parts = {"raw/retain1": say("Mimsy", 8), "raw/forget": say("Zorblat", 4)}
    parts |= {f"scal/forget_{k}": say("Zorblat", 4 * k) for k in range(1, 5)}
    parts |= {
        f"privleak/{role}": say(name, 4)
        for role, name in (("forget", "Zorblat"), ("retain", "Mimsy"), ("holdout", "Quillion"))
    }
    for side, name in (("forget", "Zorblat"), ("retain", "Mimsy")):
        asked = [{"question": q, "answer": a} for q, a in facts(name, 3)]
        parts |= {f"knowmem/{side}_qa": asked, f"knowmem/{side}_qa_icl": asked[:1]}
    for name, rows in parts.items():
        file = place / "muse" / "news" / f"{name}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(rows))
    return place


@pytest.fixture
def tofu(tmp_path):
    return ("--benchmark", "r_tofu:forget01", "--data", r_tofu_rows(tmp_path))
