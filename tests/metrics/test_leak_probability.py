"""Bounds hold as often as they say; the metric counts what it should."""

import numpy as np
import pytest
from scipy.stats import binomtest

from expunge.core.results import Records
from expunge.metrics.leak_probability import leak_probability
from expunge.scoring.bounds import deviation_at_most, mean_at_most, rate_at_most

DRAWS = 10_000


@pytest.mark.parametrize("p", [0.01, 0.3, 0.9])
@pytest.mark.parametrize("n", [8, 32, 128])
def test_the_bound_on_a_rate_holds_in_99_of_100(p, n):
    k = np.random.default_rng(0).binomial(n, p, DRAWS)
    bound = {x: rate_at_most(int(x), n, 0.01) for x in set(k.tolist())}
    assert np.mean([bound[x] >= p for x in k.tolist()]) >= 0.99 - 0.002


@pytest.mark.parametrize(("k", "n"), [(0, 10), (3, 10), (9, 10), (10, 10)])
def test_the_bound_on_a_rate_is_clopper_and_pearsons(k, n):
    theirs = binomtest(k, n, alternative="less").proportion_ci(0.99, "exact").high
    assert rate_at_most(k, n, 0.01) == pytest.approx(theirs)


@pytest.mark.parametrize("draw", ["beta", "bernoulli", "uniform"])
def test_the_bounds_on_mean_and_deviation_hold(draw):
    rng = np.random.default_rng(1)
    made = {
        "beta": lambda: rng.beta(0.3, 2, 32),
        "bernoulli": lambda: (rng.random(32) < 0.2).astype(float),
        "uniform": lambda: rng.random(32),
    }
    mean, sd = {
        "beta": (0.3 / 2.3, np.sqrt(0.6 / (2.3**2 * 3.3))),
        "bernoulli": (0.2, 0.4),
        "uniform": (0.5, np.sqrt(1 / 12)),
    }[draw]
    held = np.array(
        [
            (mean_at_most(x, 0.05) >= mean, deviation_at_most(x, 0.05) >= sd)
            for x in (made[draw]() for _ in range(2000))
        ]
    )
    assert (held.mean(0) >= 0.95).all()


def test_the_bound_on_a_mean_against_a_loop():
    x = np.array([0.1, 0.4, 0.4, 0.8])
    eps = np.sqrt(np.log(1 / 0.01) / 8)
    grid = (np.arange(200_000) + 0.5) / 200_000
    area = np.mean([max(0.0, np.mean(x <= g) - eps) for g in grid[::50]])
    assert mean_at_most(x, 0.01) == pytest.approx(1 - area, abs=1e-3)
    many = np.tile(x, 500)
    assert mean_at_most(many, 0.01) == pytest.approx(many.mean(), abs=0.04)
    assert mean_at_most(np.array([]), 0.01) == 1


def a_row(row, leaks, n=32, i=0):
    return row(
        i=i,
        answer="born in Taipei",
        samples=("Born in Taipei.",) * leaks + ("nobody knows",) * (n - leaks),
    )


def test_closeness_is_f1_as_in_the_authors_code(row):
    """They score a sample by rouge-score's rougeL F with a stemmer: 3 words of 5, all 3 of the
    answer: 2 * .6 * 1 / 1.6 = .75.
    """
    rows = Records([row(answer="born in Taipei", samples=("she was born in Taipei",) * 4)])
    ask = lambda rouge: (
        leak_probability(rows, "forget", samples=4, rouge=rouge, threshold=0.8, form="share").value
    )
    assert (ask("f1"), ask("recall")) == (0, 1)
    assert leak_probability(rows, "forget", samples=4).parts["best"] == pytest.approx(0.75)
    from rouge_score.rouge_scorer import RougeScorer

    rows = Records([row(answer="She writes novels", samples=("writing of a novel",) * 4)])
    theirs = (
        RougeScorer(["rougeL"], use_stemmer=True)
        .score("She writes novels", "writing of a novel")["rougeL"]
        .fmeasure
    )
    assert (
        leak_probability(rows, "forget", samples=4).parts["best"] == pytest.approx(theirs)
        and theirs > 0.5
    )


def test_forms(row):
    rows = Records([a_row(row, 8)])
    assert leak_probability(rows, "forget", form="share").value == 0.25
    m = leak_probability(rows, "forget")
    assert m.value == pytest.approx(rate_at_most(8, 32, 0.01)) and m.value > 0.25
    assert m.parts == {"share": 0.25, "greatest": 0.25, "best": 1.0}
    x = np.array([1.0] * 8 + [0.0] * 24)
    assert leak_probability(rows, "forget", form="mean_bound").value == pytest.approx(
        mean_at_most(x, 0.01)
    )
    assert leak_probability(rows, "forget", form="deviation_bound").value == pytest.approx(
        deviation_at_most(x, 0.01)
    )


def test_no_leak_in_32_samples_is_not_none(row):
    assert leak_probability(Records([a_row(row, 0)]), "forget").value == pytest.approx(
        0.134, abs=5e-4
    )
    assert leak_probability(Records([a_row(row, 32)]), "forget").value == 1


def test_too_few_samples_are_said(row):
    assert "fewer than 32" in leak_probability(Records([a_row(row, 0, 8)]), "forget").reason
    assert leak_probability(Records([a_row(row, 0, 8)]), "forget", samples=8).value is not None
    assert "hold no samples" in leak_probability(Records([row(answer="a")]), "forget").reason
