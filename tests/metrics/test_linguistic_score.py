"""Linguistic score worked by hand."""

import math

import pytest

from expunge.core.results import Records
from expunge.metrics.linguistic_score import linguistic_score
from expunge.scoring.text import richness_of


def one(metric, row, answer, generated, role="forget", **kw):
    return metric(Records([row(role, answer=answer, generated=generated)]), role, **kw).value


def test_linguistic_score(row):
    """N = 4 words of V = 3 kinds, two of them once: worked by hand."""
    brunet, honore = richness_of("the river the town")
    assert brunet == pytest.approx(4 ** (3**-0.165)) and honore == pytest.approx(
        100 * math.log(4) / (1 - 2 / 3 + 0.1)
    )
    parts = [1 / (1 + brunet), 1 / (1 + 1 / honore)]  # the logistic of -ln BI and of ln HS
    assert one(linguistic_score, row, "", "the river the town") == pytest.approx(sum(parts) / 2)
    assert one(linguistic_score, row, "", "the river the town", mean="harmonic") == pytest.approx(
        2 / (1 / parts[0] + 1 / parts[1])
    )
    repeated, varied = "river " * 30, " ".join(f"word{i}" for i in range(30))
    assert (
        richness_of(repeated)[0] > richness_of(varied)[0]
        and richness_of(repeated)[1] < richness_of(varied)[1]
    )
    assert one(linguistic_score, row, "", "") == 0
