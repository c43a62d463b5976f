"""Perplexity worked by hand: tokens, not rows, weigh alike."""

import math

import pytest

from expunge.core.results import Records
from expunge.metrics.perplexity import perplexity


def test_by_hand(row):
    """One token of probability 1/2 and three of 1/8: exp((ln 2 + 3 ln 8) / 4) = 2^(10/4)."""
    rows = Records([row(i=0, logp=[math.log(1 / 2)]), row(i=1, logp=[math.log(1 / 8)] * 3)])
    assert perplexity(rows, "forget").value == pytest.approx(2**2.5)


def test_a_uniform_model_has_the_size_of_its_vocabulary(row):
    rows = Records([row(i=i, logp=[-math.log(50)] * n) for i, n in enumerate((1, 4, 9))])
    assert perplexity(rows, "forget").value == pytest.approx(50)


def test_by_rows_each_row_weighs_the_same(row):
    """Two tokens of 1 nat and eight of 3: (2 + 24) / 10 by tokens, (1 + 3) / 2 by rows."""
    rows = Records([row(logp=[-1.0] * 2), row(i=1, logp=[-3.0] * 8)])
    assert perplexity(rows, "forget").value == pytest.approx(math.exp(2.6))
    assert perplexity(rows, "forget", by="rows").value == pytest.approx(math.exp(2.0))
