"""Groups of rows, Holm, bounds and what could be seen: against loops, scipy, and by simulation."""

import numpy as np
import pytest
from scipy.stats import t, ttest_rel

from expunge.core.records import Record
from expunge.maths.comparison import cluster_se, detectable, holm, p_of_none, paired, reach


def drawn(rng, groups=12, rows=5, shift=0.0, sd_group=0.2, sd_row=0.1):
    """Differences of two models on the same rows, and their groups; groups move together."""
    d = shift + np.repeat(rng.normal(0, sd_group, groups), rows) + rng.normal(0, sd_row, groups * rows)
    return d, np.repeat([str(g) for g in range(groups)], rows)


def test_rows_are_paired_by_id_and_the_rest_is_listed():
    row = lambda i, variant="answer": Record("m", "forget", str(i), "g", variant)
    both, mine, theirs = paired([row(0), row(1), row(2)], [row(2), row(0), row(9), row(1, "paraphrase")])
    assert [(a.id, b.id) for a, b in both] == [("0", "0"), ("2", "2")]
    assert (mine, theirs) == (["1"], ["9", "1"])


def test_one_row_a_group_is_the_paired_t_test():
    rng = np.random.default_rng(0)
    x, y = rng.normal(0.1, 1, 30), rng.normal(0, 1, 30)
    se = cluster_se(x - y, [str(i) for i in range(30)])
    assert se == pytest.approx((x - y).std(ddof=1) / np.sqrt(30))
    theirs = ttest_rel(x, y)
    assert p_of_none((x - y).mean(), se, 30) == pytest.approx(theirs.pvalue)
    low, high = theirs.confidence_interval(0.9)
    assert ((x - y).mean() - reach(se, 30), (x - y).mean() + reach(se, 30)) == pytest.approx((low, high))


def test_rows_of_one_group_are_not_independent():
    """Twenty copies of a row bring nothing; the standard error is that of the groups' means, by a loop."""
    rng = np.random.default_rng(1)
    d, labels = rng.normal(0, 1, 8), [str(i) for i in range(8)]
    assert cluster_se(np.repeat(d, 20), np.repeat(labels, 20)) == pytest.approx(cluster_se(d, labels))
    x, groups = drawn(rng, groups=7)
    means = [x[groups == g].mean() for g in sorted(set(groups))]
    assert cluster_se(x, groups) == pytest.approx(np.std(means, ddof=1) / np.sqrt(7))


def test_a_difference_that_never_changes_is_certain():
    assert cluster_se(np.zeros(6), list("aabbcc")) == 0 and reach(0.0, 3) == 0 and detectable(0.0, 3) == 0
    assert p_of_none(0.0, 0.0, 3) == 1 and p_of_none(0.1, 0.0, 3) == 0


def test_the_test_is_as_often_wrong_as_it_says():
    rng = np.random.default_rng(3)
    false = [p_of_none(d.mean(), cluster_se(d, labels), 12) <= 0.05 for d, labels in (drawn(rng) for _ in range(600))]
    assert np.mean(false) == pytest.approx(0.05, abs=0.03)


def test_holm_against_a_loop():
    rng = np.random.default_rng(4)
    for _ in range(50):
        p = {str(i): float(x) for i, x in enumerate(rng.random(rng.integers(1, 8)) ** 3)}
        found = holm(p)
        for alpha in (0.01, 0.05, 0.3):
            rejected, order = set(), sorted(p, key=p.get)
            for i, name in enumerate(order):  # step down until one is kept
                if p[name] > alpha / (len(p) - i):
                    break
                rejected.add(name)
            assert {n for n, q in found.items() if q <= alpha} == rejected
    assert holm({}) == {}


def test_leaks_of_exactly_the_margin_pass_in_one_of_twenty():
    rng = np.random.default_rng(5)
    passed = [d.mean() + reach(cluster_se(d, labels), 12) <= 0.1 for d, labels in (drawn(rng, shift=0.1) for _ in range(600))]
    assert np.mean(passed) == pytest.approx(0.05, abs=0.03)


def test_the_detectable_difference_is_detected_as_often_as_said():
    rng = np.random.default_rng(6)
    se = np.mean([cluster_se(*drawn(rng)) for _ in range(100)])
    found = [d.mean() / cluster_se(d, labels) > t.ppf(0.95, 11) for d, labels in (drawn(rng, shift=detectable(se, 12)) for _ in range(400))]
    assert np.mean(found) == pytest.approx(0.8, abs=0.07)
