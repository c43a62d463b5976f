"""Intervals, AUC and KS against other libraries, plain loops and theory."""

import time

import numpy as np
import pytest
from scipy.stats import binomtest, bootstrap, hmean, ks_2samp, mannwhitneyu, norm
from scipy.stats import t as student
from sklearn.metrics import roc_auc_score, roc_curve

from expunge.scoring import bootstrap as st


def expanded(values, codes, weight):
    """The sample that a draw stands for: the rows of each group as often as it was drawn."""
    return np.concatenate([np.repeat(values[codes == g], int(w)) for g, w in enumerate(weight)])


@pytest.fixture
def rng():
    return np.random.default_rng(7)


# ------------------------------------------------------------------ weights


def test_weights_are_multinomial():
    w = np.concatenate(list(st.weights(20, draws=20_000)))
    assert w.shape == (20_000, 20)
    assert (w.sum(1) == 20).all()
    assert w.mean() == 1
    assert w.var() == pytest.approx(19 / 20, rel=0.01)  # binomial(20, 1/20)


def test_draws_do_not_depend_on_what_groups_are_called(rng):
    """On disk a group is a hash under the run's secret: two runs on the same rows must give the
    same interval.
    """
    x, groups = rng.random(60), [str(i % 7) for i in range(60)]
    renamed = [{"0": "z", "1": "q"}.get(g, g * 3) for g in groups]
    assert st.mean_interval(x, groups) == st.mean_interval(x, renamed)
    assert st.auc_interval(x[:30], groups[:30], x[30:], groups[30:]) == st.auc_interval(
        x[:30], renamed[:30], x[30:], renamed[30:]
    )


def test_blocks_do_not_change_the_draws():
    whole = np.concatenate(list(st.weights(7, draws=1000)))
    blocks = list(st.weights(7, draws=1000, wide=st.BLOCK // 9))
    assert len(blocks) > 100
    np.testing.assert_array_equal(np.concatenate(blocks), whole)


def test_streams_and_seeds_differ():
    first, other, seeded = (
        next(st.weights(9, draws=50, **kw)) for kw in ({}, {"stream": 1}, {"seed": 1})
    )
    assert (first != other).any()
    assert (first != seeded).any()


# ------------------------------------------------------------------ means


def test_mean_draws_are_means_of_the_expanded_samples(rng):
    x, labels = rng.random((2, 30)), rng.choice(list("abcde"), 30)
    codes, names = st.group_codes(labels)
    for draw, w in zip(
        st.mean_draws(x, labels, draws=40),
        np.concatenate(list(st.weights(len(names), draws=40))),
        strict=True,
    ):
        np.testing.assert_allclose(draw, [expanded(row, codes, w).mean() for row in x], rtol=1e-12)


def test_mean_interval_of_rows_is_scipys(rng):
    x = rng.exponential(size=120)
    theirs = bootstrap(
        (x,), np.mean, method="percentile", n_resamples=20_000, rng=1
    ).confidence_interval
    np.testing.assert_allclose(
        st.mean_interval(x, [str(i) for i in range(120)]), theirs, atol=0.03 * x.std()
    )


def test_interval_by_group_is_wider_when_groups_are_identical_inside(rng):
    x = np.repeat(rng.random(20), 20)
    by_group = st.mean_interval(x, np.repeat(np.arange(20), 20).astype(str))
    by_row = st.mean_interval(x, np.arange(400).astype(str))
    ratio = (by_group[1] - by_group[0]) / (by_row[1] - by_row[0])
    # the design effect, and t's
    assert ratio == pytest.approx(
        np.sqrt(20) * student.ppf(0.975, 19) / student.ppf(0.975, 399), rel=0.05
    )


def covered(groups, draw, *, sure=400, **ends):
    """How often the 95 % interval of a mean holds the truth: ``draw`` gives a truth and rows of
    five a group.
    """
    rng, held, labels = np.random.default_rng(0), 0, np.repeat(np.arange(groups), 5).astype(str)
    for _ in range(sure):
        truth, x = draw(rng, groups)
        lo, hi = st.mean_interval(x, labels, **ends)
        held += lo <= truth <= hi
    return held / sure


def normal(rng, groups):
    return 0.0, np.repeat(rng.normal(size=groups), 5) + rng.normal(size=5 * groups)


def answers(rng, groups):
    """Rows of 0 and 1, one in five right, in groups that are better or worse."""
    p = np.repeat(rng.beta(0.8, 3.2, groups), 5)
    return 0.2, (rng.random(5 * groups) < p).astype(float)


def shares(rng, groups):
    p = np.repeat(rng.beta(0.8, 3.2, groups), 5)
    return 0.2, np.clip(p * rng.uniform(0.8, 1.2, 5 * groups), 0, 1)


@pytest.mark.parametrize("groups", [2, 3, 5, 8, 20])
def test_mean_interval_holds_the_truth_as_often_as_it_says(groups):
    """The percentile bootstrap did so in .51 to .69 of the cases with two groups, .74 to .87 with
    five.
    """
    assert 0.93 <= covered(groups, normal) <= 0.975
    assert covered(groups, answers) >= 0.93
    assert covered(groups, shares, low=0.0, high=1.0) >= 0.9


@pytest.mark.parametrize("groups", [3, 5, 8])
def test_auc_interval_holds_the_truth_as_often_as_it_says(groups):
    rng, held, labels = np.random.default_rng(1), 0, np.repeat(np.arange(groups), 5).astype(str)
    truth = norm.cdf(0.7 / 2)  # two normals a shift of .7 apart, of variance 2
    for _ in range(300):
        x, y = (
            np.repeat(rng.normal(m, 1, groups), 5) + rng.normal(size=5 * groups) for m in (0.7, 0.0)
        )
        lo, hi = st.auc_interval(x, labels, y, labels)
        held += lo <= truth <= hi
    assert held / 300 >= 0.92


@pytest.mark.parametrize("groups", [2, 3, 5, 10])
def test_auc_interval_holds_the_truth_where_one_group_is_most_of_its_side(groups):
    """A group that makes the AUC does not stand out from it: intervals from residuals held .5 in 45
    to 75 of 100.
    """
    rng, held = np.random.default_rng(1), 0
    sizes = [60, *[2] * (groups - 1)]
    labels = np.repeat(np.arange(groups), sizes).astype(str)
    for _ in range(200):
        x, y = (
            np.round(np.repeat(rng.normal(0, 0.5, groups), sizes) + rng.normal(size=len(labels)))
            for _ in range(2)
        )
        lo, hi = st.auc_interval(x, labels, y, labels)
        held += lo <= 0.5 <= hi
    assert held / 200 >= 0.92


def test_none_of_forty_is_no_certainty():
    """0 of 40 printed 0.000 to 0.000; the exact one-sided bound is .072, and 1 of 40 keeps Clopper
    and Pearson's.
    """
    labels = [str(i) for i in range(40)]
    assert st.mean_interval(np.zeros(40), labels) == pytest.approx((0.0, 0.0722), abs=1e-4)
    assert st.mean_interval(np.ones(40), labels) == pytest.approx((0.9278, 1.0), abs=1e-4)
    one = np.zeros(40)
    one[0] = 1
    exact = binomtest(1, 40).proportion_ci(0.95, method="exact")
    lo, hi = st.mean_interval(one, labels)
    assert (
        (lo, hi) == pytest.approx((exact.low, exact.high), abs=0.012)
        and lo < 0.001
        and hi >= exact.high
    )
    apart = st.auc_interval(np.ones(40), labels, np.zeros(40), labels)
    assert apart == pytest.approx((0.9278, 1.0), abs=1e-4)


def test_the_bootstrap_is_stretched_for_few_groups():
    drawn = np.linspace(-1, 1, 1001)
    widths = [np.diff(st.percentile_interval(drawn, 0.0, g))[0] for g in (2, 8, 40, 4000)]
    assert (
        widths[0] / widths[3] > 6
        and widths[1] / widths[3] == pytest.approx(1.29, abs=0.02)
        and widths[3] == pytest.approx(1.9, abs=0.01)
    )


def test_a_single_group_has_no_interval():
    x, one, two = np.array([0.0, 1.0]), ["a", "a"], ["a", "b"]
    assert st.mean_interval(x, one) is None
    assert st.auc_interval(x, one, x, two) is None
    assert st.auc_interval(x, two, x, one) is None
    assert st.ks_interval(x, one, x, one) is None
    assert st.harmonic_mean_interval({"a": (x[None], two), "b": (x[None], one)}) is None
    lo, hi = st.mean_interval(x, two)
    assert 0 <= lo < 0.01 and 0.99 < hi <= 1  # two groups that disagree: nothing is known


def test_a_constant_without_a_range_has_the_bare_value():
    assert st.mean_interval(np.full(40, 0.1), np.repeat(["a", "b"], 20)) == pytest.approx(
        (0.1, 0.1), abs=1e-15
    )
    assert st.mean_interval(np.full(40, 0.1), np.repeat(["a", "b"], 20), low=0, high=1)[1] > 0.7


def test_the_bootstrap_is_fast(rng):
    x, labels = rng.random(400), np.repeat(np.arange(20), 20).astype(str)
    seconds = []
    for _ in range(7):
        start = time.perf_counter()
        st.mean_interval(x, labels)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.04  # 5 ms on a quiet machine


# ------------------------------------------------------------------ harmonic mean


def test_harmonic_mean():
    assert st.harmonic_mean([1, 1, 0]) == 0
    assert st.harmonic_mean([0.2, 0.5, 0.9]) == pytest.approx(hmean([0.2, 0.5, 0.9]), rel=1e-15)


def test_harmonic_mean_interval_against_a_loop(rng):
    families = {
        "a": (rng.random((2, 40)) + 0.1, np.repeat(list("abcd"), 10)),
        "b": (rng.random((1, 6)) + 0.1, list("uvwxyz")),
    }
    drawn = []
    generator = np.random.default_rng(3)
    for _ in range(4000):
        parts = []
        for columns, labels in families.values():
            codes, names = st.group_codes(labels)
            w = np.bincount(generator.integers(0, len(names), len(names)), minlength=len(names))
            parts += [expanded(c, codes, w).mean() for c in columns]
        drawn.append(hmean(parts))
    value, wider = (
        hmean([c.mean() for columns, _ in families.values() for c in columns]),
        st.stretch(4),
    )
    expected = value + wider * (np.quantile(drawn, [0.025, 0.975]) - value)
    assert st.harmonic_mean_interval(families) == pytest.approx(tuple(expected), abs=0.02)


# ------------------------------------------------------------------ AUC


def test_auc_with_ties_is_that_of_two_libraries(rng):
    x, y = rng.integers(0, 8, 60).astype(float), rng.integers(0, 6, 45).astype(float)
    assert st.auc(x, y) == pytest.approx(
        roc_auc_score(np.r_[np.ones(60), np.zeros(45)], np.r_[x, y]), abs=1e-15
    )
    assert st.auc(x, y) == pytest.approx(mannwhitneyu(x, y).statistic / (60 * 45), abs=1e-15)
    assert st.auc(x, y) == pytest.approx(1 - st.auc(y, x), abs=1e-15)
    assert st.auc(np.exp(x), np.exp(y)) == st.auc(x, y)


def test_auc_at_its_ends():
    assert st.auc(np.array([2.0, 3.0]), np.array([0.0, 1.0])) == 1
    assert st.auc(np.array([0.0, 1.0]), np.array([2.0, 3.0])) == 0
    assert st.auc(np.ones(3), np.ones(4)) == 0.5


def test_auc_draws_are_aucs_of_the_expanded_samples(rng):
    x, y = rng.integers(0, 9, 40).astype(float), rng.integers(0, 9, 30).astype(float)
    g, h = rng.choice(list("abcd"), 40), rng.choice(list("uvwxyz"), 30)
    (g_codes, _), (h_codes, _) = st.group_codes(g), st.group_codes(h)
    ws, vs = next(st.weights(4, draws=30, stream=0)), next(st.weights(6, draws=30, stream=1))
    for draw, w, v in zip(st.auc_draws(x, g, y, h, draws=30), ws, vs, strict=True):
        assert draw == pytest.approx(
            st.auc(expanded(x, g_codes, w), expanded(y, h_codes, v)), abs=1e-12
        )


def test_auc_interval_has_the_width_that_theory_gives(rng):
    x, y, labels = rng.normal(size=400), rng.normal(size=400), np.arange(400).astype(str)
    lo, hi = st.auc_interval(x, labels, y, labels)
    assert lo < st.auc(x, y) < hi
    # standard error near .5 with 400 against 400
    assert (hi - lo) / 3.92 == pytest.approx(0.0204, rel=0.1)


# ------------------------------------------------------------------ Kolmogorov-Smirnov


def test_operating_points_are_scikit_learns_without_interpolation(rng):
    x, y = rng.normal(1, 1, 300), np.round(rng.normal(0, 1, 200), 1)  # ties among the negatives
    fpr, tpr, _ = roc_curve([1] * 300 + [0] * 200, [*x, *y], drop_intermediate=False)
    found = st.operating_points(x, range(300), y, range(200))
    for f in (0.01, 0.05):
        assert found[f"tpr/{f}"] == pytest.approx(
            max(t for a, t in zip(fpr, tpr, strict=True) if a <= f), abs=1e-12
        )
        assert found[f"tpr/{f}/low"] < found[f"tpr/{f}"] < found[f"tpr/{f}/high"]
    assert "least_fpr" not in found


def test_operating_points_at_their_ends_and_with_too_few_rows():
    few = [str(i // 4) for i in range(40)]
    told = st.operating_points(np.ones(40), few, np.zeros(40), few)
    exact = 0.05 ** (1 / 10)  # of ten groups
    # 1 % is less than a row
    assert told == {
        "tpr/0.05": 1,
        "tpr/0.05/low": pytest.approx(exact),
        "tpr/0.05/high": 1,
        "least_fpr": 1 / 40,
    }
    # a tie tells nothing
    assert st.operating_points(np.zeros(40), few, np.zeros(40), few)["tpr/0.05"] == 0
    assert st.operating_points(np.ones(9), few[:9], np.zeros(9), few[:9]) == {"least_fpr": 1 / 9}
    # one group: no interval
    assert set(st.operating_points(np.ones(40), ["a"] * 40, np.zeros(40), few)) == {
        "tpr/0.05",
        "least_fpr",
    }


def test_operating_points_are_those_of_the_expanded_samples(rng):
    x, y = rng.normal(0.5, 1, 60), rng.normal(0, 1, 100)
    g, h = [str(i % 7) for i in range(60)], [str(i % 9) for i in range(100)]
    drawn = []
    for w, v in zip(
        np.concatenate(list(st.weights(7, draws=400))),
        np.concatenate(list(st.weights(9, draws=400, stream=1))),
        strict=True,
    ):
        xs = np.concatenate(
            [np.repeat(a, int(w[int(k)])) for a, k in zip(x, g, strict=True)] or [[]]
        )
        ys = np.concatenate([np.repeat(a, int(v[int(k)])) for a, k in zip(y, h, strict=True)])
        drawn.append(max(float((xs > t).mean()) for t in y if (ys > t).mean() <= 0.05))
    found = st.operating_points(x, g, y, h, draws=400)
    value = found["tpr/0.05"]
    lo, hi = np.clip(value + st.stretch(7) * (np.quantile(drawn, [0.025, 0.975]) - value), 0, 1)
    assert (found["tpr/0.05/low"], found["tpr/0.05/high"]) == pytest.approx((lo, hi), abs=1e-12)


@pytest.mark.parametrize(
    ("n", "floor"), [(40, 1.9e-23), (200, 1.94e-119), (300, 1.5e-179), (400, 1.06e-239)]
)
def test_p_value_floors(n, floor):
    x = np.arange(n, dtype=float)
    assert st.ks_pvalue(x, x + n) == pytest.approx(floor, rel=0.03)
    assert st.ks_pvalue_of_distance(1.0, n, n) == st.ks_pvalue(x, x + n)


def test_p_value_of_a_distance_is_scipys(rng):
    for shift in (0, 0.1, 0.5, 2):
        x, y = rng.normal(size=80), rng.normal(size=80) + shift
        found = ks_2samp(x, y)
        assert st.ks_pvalue_of_distance(found.statistic, 80, 80) == pytest.approx(
            found.pvalue, rel=1e-9
        )
        y = y[:60]
        found = ks_2samp(x, y, method="asymp")
        assert st.ks_pvalue_of_distance(found.statistic, 80, 60) == pytest.approx(
            found.pvalue, rel=1e-9
        )


def test_ks_draws_are_distances_of_the_expanded_samples(rng):
    x, y = rng.integers(0, 30, 40).astype(float), rng.integers(5, 35, 40).astype(float)
    labels = rng.choice(list("abcd"), 40)
    codes, _ = st.group_codes(labels)
    ws = next(st.weights(4, draws=30))
    # same groups: drawn together
    for draw, w in zip(st.ks_distance_draws(x, labels, y, labels, draws=30), ws, strict=True):
        assert draw == pytest.approx(
            ks_2samp(expanded(x, codes, w), expanded(y, codes, w)).statistic, abs=1e-6
        )
    others = rng.choice(list("pqr"), 40)
    vs = next(st.weights(3, draws=30, stream=1))
    for draw, w, v in zip(
        st.ks_distance_draws(x, labels, y, others, draws=30), ws, vs, strict=True
    ):
        other = expanded(y, st.group_codes(others)[0], v)
        assert draw == pytest.approx(ks_2samp(expanded(x, codes, w), other).statistic, abs=1e-6)


def test_ks_interval_holds_the_value(rng):
    labels = np.repeat(np.arange(10), 8).astype(str)
    for shift in (0, 0.3, 3):
        x, y = rng.normal(size=80), rng.normal(size=80) + shift
        lo, hi = st.ks_interval(x, labels, y, labels)
        assert 0 <= lo <= ks_2samp(x, y).pvalue <= hi <= 1
    # the same model twice, drawn together
    assert st.ks_interval(x, labels, x, labels) == (1.0, 1.0)


def test_a_distance_of_one_row_is_not_significant_and_warns_of_nothing(recwarn):
    x = np.arange(400, dtype=float)
    assert st.ks_pvalue(x, x + 0.5) == pytest.approx(1)
    assert not recwarn.list
