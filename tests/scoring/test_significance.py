"""Groups of rows, Holm, bounds and what could be seen: against loops, scipy, and by simulation."""

import numpy as np
import pytest
from scipy.stats import ttest_rel

from expunge.core.results import Record
from expunge.scoring.bootstrap import cluster_se
from expunge.scoring.significance import (
    Error,
    detectable,
    holm,
    p_of_none,
    paired,
    reach,
    reach_of_constant,
    widened,
)


def drawn(rng, groups=12, rows=5, shift=0.0, sd_group=0.2, sd_row=0.1):
    """Differences of two models on the same rows, and their groups; groups move together."""
    d = (
        shift
        + np.repeat(rng.normal(0, sd_group, groups), rows)
        + rng.normal(0, sd_row, groups * rows)
    )
    return d, np.repeat([str(g) for g in range(groups)], rows)


def test_rows_are_paired_by_id_and_the_rest_is_listed():
    row = lambda i, variant="answer": Record("m", "forget", str(i), "g", variant)
    both, mine, theirs = paired(
        [row(0), row(1), row(2)], [row(2), row(0), row(9), row(1, "paraphrase")]
    )
    assert [(a.id, b.id) for a, b in both] == [("0", "0"), ("2", "2")]
    assert (mine, theirs) == (["1"], ["9", "1"])


def test_one_row_a_group_is_the_paired_t_test():
    rng = np.random.default_rng(0)
    x, y = rng.normal(0.1, 1, 30), rng.normal(0, 1, 30)
    se = cluster_se(x - y, [str(i) for i in range(30)])
    assert se == pytest.approx((x - y).std(ddof=1) / np.sqrt(30))
    theirs = ttest_rel(x, y)
    assert p_of_none((x - y).mean(), se, 29) == pytest.approx(theirs.pvalue)
    low, high = theirs.confidence_interval(0.9)
    assert ((x - y).mean() - reach(se, 29), (x - y).mean() + reach(se, 29)) == pytest.approx(
        (low, high)
    )


def test_rows_of_one_group_are_not_independent():
    """Twenty copies of a row bring nothing; the standard error is that of the groups' means, by a
    loop.
    """
    rng = np.random.default_rng(1)
    d, labels = rng.normal(0, 1, 8), [str(i) for i in range(8)]
    assert cluster_se(np.repeat(d, 20), np.repeat(labels, 20)) == pytest.approx(
        cluster_se(d, labels)
    )
    x, groups = drawn(rng, groups=7)
    means = [x[groups == g].mean() for g in sorted(set(groups))]
    assert cluster_se(x, groups) == pytest.approx(np.std(means, ddof=1) / np.sqrt(7))


def test_a_difference_that_never_changes_is_not_certain():
    """No spread in 40 groups says only that fewer than 7.2 % of groups are unlike them: 1 -
    .05^(1/40).
    """
    assert cluster_se(np.full(40, 0.3), [str(i) for i in range(40)]) == 0
    assert reach_of_constant(0.0, 40, 1.0) == pytest.approx(0.0722, abs=1e-4)
    assert p_of_none(0.0, 0.0, 39, groups=40) == 1
    # the sign test of three groups that moved to one side
    assert p_of_none(0.1, 0.0, 2, groups=3) == 0.25
    assert detectable(Error(0.0, 39, 40), 0.05) is None  # what could be seen is not known


def test_the_test_is_as_often_wrong_as_it_says():
    rng = np.random.default_rng(3)
    false = [
        p_of_none(d.mean(), cluster_se(d, labels), 11) <= 0.05
        for d, labels in (drawn(rng) for _ in range(600))
    ]
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
    passed = [
        d.mean() + reach(cluster_se(d, labels), 11) <= 0.1
        for d, labels in (drawn(rng, shift=0.1) for _ in range(600))
    ]
    assert np.mean(passed) == pytest.approx(0.05, abs=0.03)


def golds_and_model(rng, golds, leak=0.0, groups=20, seeds=0.03, single=0.05):
    """Mean values by group of golds [m, groups] and of a model with a leak; every model has a shift
    of its seed and of its own groups.
    """
    made = rng.normal(0, seeds, (golds + 1, 1)) + rng.normal(0, single, (golds + 1, groups))
    return made[1:], made[0] + leak


def error_of(theirs, d):
    between = float(theirs.mean(1).std(ddof=1)) if len(theirs) > 1 else 0.0
    return Error(
        cluster_se(d, [str(i) for i in range(len(d))]), len(d) - 1, len(d), between, len(theirs)
    )


@pytest.mark.parametrize("golds", [2, 3, 5])
def test_another_gold_is_seldom_called_different(golds):
    """Rows alone would reject another gold in half of the cases: seeds lie further apart than rows
    tell.
    """
    rng, rejected, by_rows = np.random.default_rng(7), [], []
    for _ in range(400):
        theirs, mine = golds_and_model(rng, golds)
        d = mine - theirs.mean(0)
        error = error_of(theirs, d)
        rejected.append(p_of_none(d.mean(), *error.of_another()) < 0.05)
        by_rows.append(p_of_none(d.mean(), error.rows, error.degrees) < 0.05)
    assert np.mean(rejected) <= 0.10 and np.mean(by_rows) > 0.3


def test_one_gold_leaves_the_rows_alone():
    error = Error(0.02, 19, 20, 0.0, 1)
    assert error.of_another() == error.of_mean() == (0.02, 19)


@pytest.mark.parametrize("golds", [1, 2, 3, 5])
def test_a_leak_of_three_margins_hardly_ever_passes_as_equal(golds):
    """With the margin widened by two golds (t of one degree of freedom) half of such leaks were
    equal.
    """
    rng, passed = np.random.default_rng(8), []
    for _ in range(300):
        theirs, mine = golds_and_model(rng, golds, leak=0.15)
        d = mine - theirs.mean(0)
        passed.append(
            abs(d.mean()) + reach(*error_of(theirs, d).of_mean()) < widened(0.05, theirs.mean(1))
        )
    assert np.mean(passed) <= 0.05


def test_the_margin_is_widened_by_four_golds_and_twice_at_most():
    assert widened(0.05, [0.1, 0.4]) == widened(0.05, [0.1, 0.3, 0.5]) == 0.05
    assert widened(0.05, [0.10, 0.12, 0.14, 0.12]) == 0.05
    assert 0.05 < widened(0.05, [0.10, 0.14, 0.16, 0.12]) < 0.1
    assert widened(0.05, [0.1, 0.3, 0.5, 0.7]) == 0.1


@pytest.mark.parametrize(("golds", "margin"), [(1, 0.05), (1, None), (4, 0.05)])
def test_the_detectable_difference_is_found_by_the_verdict_as_often_as_said(golds, margin):
    """Two-sided, at the verdict's own level, and beyond the margin: .8 in four of five, whatever
    else is asked.
    """
    rng, found = np.random.default_rng(6), []
    error = Error(0.02, 11, 12, 0.03 if golds > 1 else 0.0, golds)
    shift = detectable(error, margin)
    assert shift is not None
    for _ in range(1500):
        rows = error.rows * np.sqrt(rng.chisquare(11) / 11)
        ours = rng.normal(0, 0.03, golds) if golds > 1 else np.zeros(1)
        seen = Error(rows, 11, 12, float(ours.std(ddof=1)) if golds > 1 else 0.0, golds)
        d = shift + rng.normal(0, error.rows) - ours.mean()
        beyond = margin is None or d + reach(*seen.of_mean()) > margin
        found.append(d > 0 and p_of_none(d, *seen.of_another()) < 0.05 and beyond)
    assert np.mean(found) == pytest.approx(0.8, abs=0.04)
