"""Which value of a column is the best, by what better means there."""

import pytest
from report_runs import m

from expunge.report.compare import Judged, against, best, best_of_columns, gold_of


@pytest.mark.parametrize(
    ("better", "gold", "values", "winners"),
    [
        ("higher", None, {"a": 0.1, "b": 0.9}, {"b"}),
        ("lower", None, {"a": 0.1, "b": 0.9}, {"a"}),
        ("gold", 0.5, {"a": 0.1, "b": 0.85, "c": 0.2}, {"c"}),  # .3 below is nearer than .35 above
        ("gold", None, {"a": 0.1, "b": 0.9}, set()),
        (0.0, None, {"a": -30.0, "b": 20.0}, {"b"}),
        (0.5, None, {"a": 0.9, "b": 0.1}, {"a", "b"}),  # equally far
        (None, 0.5, {"a": 0.1, "b": 0.9}, set()),
        ("higher", None, {"a": None, "b": 0.9, "c": 0.2}, {"b"}),
        ("higher", None, {"a": None, "b": 0.9}, set()),  # alone is not best
        ("higher", None, {}, set()),
    ],
)
def test_best_for_each_kind_of_better(
    better: object, gold: float | None, values: dict, winners: set
) -> None:
    assert best({k: m(v, better) for k, v in values.items()}, gold) == winners


def test_columns_of_mixed_better_have_no_best() -> None:
    assert best({"a": m(0.1, "higher"), "b": m(0.2, "lower")}) == frozenset()


def test_only_the_unlearned_compete() -> None:
    subjects = [
        Judged("o", "original", {"k": m(0.5)}),
        Judged("g", "gold", {"k": m(0.4)}),
        Judged("h", "gold", {"k": m(0.6)}),
    ]
    subjects += [
        Judged("a", "unlearned", {"k": m(0.45)}),
        Judged("b", "unlearned", {"k": m(0.1)}),
        Judged("c", "attacked", {"k": m(0.5)}),
    ]
    assert gold_of(subjects, "k") == pytest.approx(0.5)
    assert best_of_columns(subjects, ["k", "absent"]) == {"k": {"a"}, "absent": frozenset()}


def test_above_gold_needs_the_whole_interval() -> None:
    assert against(m(0.3, ends=(0.2, 0.4)), 0.1) == "above"
    assert against(m(0.3, ends=(0.14, 0.4)), 0.1) == "unclear"
    assert against(m(0.1, ends=(0.05, 0.15)), 0.1) == "within"
    assert against(m(0.151), 0.1) == "above" and against(m(0.149), 0.1) == "within"
