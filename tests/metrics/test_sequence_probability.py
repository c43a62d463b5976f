"""The chance of the whole answer in so many draws: exact where a float holds it, in log space
beyond.
"""

import math
from fractions import Fraction

import numpy as np
import pytest

from expunge.core.results import Records
from expunge.metrics.sequence_probability import sequence_probability


def test_by_hand(row):
    half = Records([row(logp=[math.log(0.5), 0.0])])
    assert sequence_probability(half, "forget").value == pytest.approx(0.5)
    assert sequence_probability(half, "forget", draws=3).value == pytest.approx(1 - 0.5**3)
    assert sequence_probability(Records([row(logp=[0.0])]), "forget", draws=5).value == 1


@pytest.mark.parametrize("power", [12, 15, 16, 17, 20, 60])
@pytest.mark.parametrize("draws", [1, 3, 1000])
def test_small_chances_against_exact_fractions(row, power, draws):
    """1 - (1 - 10^-k)^n in whole numbers; 1 - p is 1 in floats from k = 17 on."""
    p = Fraction(1, 10**power)
    exact = float(1 - (1 - p) ** draws)
    rows = Records([row(logp=[-power * math.log(10)])])
    assert sequence_probability(rows, "forget", draws=draws).value == pytest.approx(
        exact, rel=1e-9, abs=0
    )


def test_what_no_float_holds_stands_in_the_parts(row):
    """400 tokens of 10 % each: 1e-400 is 0 as a float, not as a logarithm."""
    m = sequence_probability(Records([row(logp=[math.log(0.1)] * 400)]), "forget", draws=1000)
    assert (
        m.value == 0
        and m.parts["log10"] == pytest.approx(-397)
        and m.parts["mean_log10"] == pytest.approx(-397)
    )


def test_a_likely_row_does_not_hide_the_others(row):
    rows = Records([row(i=0, logp=[0.0]), row(i=1, logp=[math.log(1e-4)])])
    m = sequence_probability(rows, "forget")
    assert m.value == pytest.approx(0.50005) and m.parts["log10"] == pytest.approx(
        math.log10(0.50005)
    )
    assert m.parts["mean_log10"] == pytest.approx(-2)


def test_it_is_the_share_of_exact_samples():
    rng = np.random.default_rng(0)
    p = np.array([0.6, 0.5, 0.7])
    hits = np.mean([(rng.random((4, 3)) < p).all(axis=1).any() for _ in range(20_000)])
    from expunge.core.results import Record

    rows = Records([Record("m", "forget", "0", "0", "answer", n_tokens=3, logp=np.log(p))])
    assert sequence_probability(rows, "forget", draws=4).value == pytest.approx(hits, abs=0.01)
