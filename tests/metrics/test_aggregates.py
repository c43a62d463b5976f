"""Numbers that fold several into one: both ends, by hand."""

import math
from dataclasses import replace

import pytest

from expunge.core.results import Records
from expunge.metrics.aus import aus
from expunge.metrics.deviation_score import deviation_score


def accuracies(row, forget, retain, original=None, n=10):
    """Records whose hit rates are these."""
    rows = [
        row(role, i, hit=[k < round(a * 10) for k in range(10)])
        for role, a in (("forget", forget), ("retain", retain))
        for i in range(n)
    ]
    before = (
        [
            replace(
                row("retain", i, hit=[k < round(original * 10) for k in range(10)]),
                subject="original",
            )
            for i in range(n)
        ]
        if original is not None
        else []
    )
    return Records(rows), Records([replace(r, subject="gold") for r in rows[:3]] + before)


@pytest.mark.parametrize(
    ("forget", "retain", "original", "form", "value"),
    [
        (0.8, 0.8, 0.8, "homogeneous", 1.0),  # as before, and forget rows are like test rows
        (1.0, 0.8, 0.8, "homogeneous", 1 / 1.2),
        (0.5, 0.7, 0.9, "homogeneous", 0.8 / 1.2),
        (0.0, 0.8, 0.8, "class", 1.0),
        (1.0, 0.8, 0.8, "class", 0.5),
    ],
)
def test_aus_by_hand(row, forget, retain, original, form, value):
    mine, others = accuracies(row, forget, retain, original)
    m = aus(mine, others, form=form)
    assert m.value == pytest.approx(value)
    assert m.parts == pytest.approx({"forget": forget, "retain": retain, "original": original})


def test_aus_without_the_original_is_unscored(row):
    mine, others = accuracies(row, 0.5, 0.5)
    assert "--original" in aus(mine, others).reason and "--original" in aus(mine).reason


def texts(row, forget, retain):
    """Records whose ROUGE-1 recall is these, in fifths."""
    said = lambda share: " ".join(
        [["a", "b", "c", "d", "e"][k] if k < share * 5 else "x" for k in range(5)]
    )
    return Records(
        row(role, i, answer="a b c d e", generated=said(s))
        for role, s in (("forget", forget), ("retain", retain))
        for i in range(8)
    )


@pytest.mark.parametrize(
    ("forget", "retain", "value"),
    [
        (0, 1, 0),
        (1, 1, 100),
        (0, 0, 100),
        (1, 0, 100 * math.sqrt(2)),
        (0.4, 0.6, 100 * math.sqrt(0.32)),
    ],
)
def test_deviation_score_by_hand(row, forget, retain, value):
    m = deviation_score(texts(row, forget, retain))
    assert m.value == pytest.approx(value) and m.parts == pytest.approx(
        {"forget": forget, "retain": retain}
    )


def test_deviation_score_names_what_is_missing(row):
    assert (
        "--retain"
        in deviation_score(Records(r for r in texts(row, 0, 1) if r.role == "forget")).reason
    )
    assert (
        "hold no generated"
        in deviation_score(Records(replace(r, generated=None) for r in texts(row, 0, 1))).reason
    )
