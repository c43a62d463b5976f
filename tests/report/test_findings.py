# ruff: noqa: F401, F811 (fixtures are imported by name)
"""The sentences that stand first: what was found, and how sure it is."""

from pathlib import Path

import pytest
from report_runs import ROUNDED, m, page, runs

from expunge.report.compare import Curve, Judged, curves_of
from expunge.report.findings import findings, summary
from expunge.report.load import find


def test_findings_stand_first_and_are_careful(page: str) -> None:
    for words in (
        "hidden, not gone",
        "After 20 relearning steps: 0.71, gold 0.36: it came back further than gold did.",
        "After rounding to 4-bit: 0.31, gold 0.11: it came back further than gold did.",
        "like gold in what was tried",
        "Of 4 unlearned models:",
    ):
        assert words in page
    assert (
        page.index('id="findings"') < page.index('id="numbers"') and "no proof of deletion" in page
    )


def story(
    forget: float, retain: float, after: float | None = None, kept: float = 0.9, gold: bool = True
) -> list:
    subjects = [
        Judged(
            "original", "original", {"forget/probability": m(0.98), "retain/probability": m(0.96)}
        )
    ]
    subjects += (
        [Judged("gold", "gold", {"forget/probability": m(0.10), "retain/probability": m(0.95)})]
        if gold
        else []
    )
    subjects += [
        Judged("x", "unlearned", {"forget/probability": m(forget), "retain/probability": m(retain)})
    ]
    series = [("gold", 0.10, 0.36, 0.95)] * gold + [("x", forget, after, kept)]
    curves = [
        Curve(
            "relearn",
            of,
            (0.0, 20.0),
            "relearning steps",
            {"forget/probability": (m(a), m(b)), "retain/probability": (m(0.9), m(r))},
        )
        for of, a, b, r in series
        if b is not None
    ]
    return findings(subjects, curves)


@pytest.mark.parametrize(
    ("told_of", "level", "headline"),
    [
        (story(0.12, 0.90, 0.71), "bad", "hidden, not gone"),
        (story(0.12, 0.90, 0.35), "good", "like gold in what was tried"),
        (story(0.12, 0.70, 0.35), "warn", "like gold in what was tried, at a high cost"),
        (story(0.12, 0.90), "warn", "low, but not attacked"),
        (story(0.60, 0.90, 0.90), "bad", "still there, before any attack"),
        (story(0.01, 0.20, 0.30), "bad", "collapsed: what should stay is gone too"),
        # the attack hurt retain: it says little
        (story(0.12, 0.90, 0.30, kept=0.5), "warn", "not settled"),
        (story(0.12, 0.90, 0.71, gold=False), "note", "no gold to compare with"),
    ],
)
def test_what_is_found(told_of: list, level: str, headline: str) -> None:
    (f,) = told_of
    assert (f.level, f.headline) == (level, headline)


def test_far_below_gold_is_said() -> None:
    assert any(
        "even less than a model that never saw" in s for s in story(0.01, 0.9, 0.3)[0].sentences
    )
    assert (
        summary([]) == ""
        and summary(story(0.12, 0.9, 0.71)) == "Of 1 unlearned model: 1 hidden, not gone (x)."
    )


def test_attacked_models_become_a_curve(runs: Path) -> None:
    plain = Judged("npo", "unlearned", {"forget/probability": m(0.1)})
    at = [
        Judged(
            f"npo+{k}",
            "attacked",
            {"forget/probability": m(k / 100)},
            {"name": "relearn", "steps": k, "of": "npo"},
        )
        for k in (20, 5)
    ]
    (curve,) = curves_of([plain, *at])
    assert curve.x == (0.0, 5.0, 20.0) and [
        p.value for p in curve.series["forget/probability"]
    ] == [0.1, 0.05, 0.2]
    rounding = [c for c in find([runs]).curves if c.attack == "rounding"]
    assert {c.of for c in rounding} == set(ROUNDED) and all(
        c.x == ("as is", "8-bit", "4-bit") for c in rounding
    )
