"""Token entropy: the entropy of the words over its greatest."""

import math

import pytest

from expunge.core.results import Records
from expunge.metrics.token_entropy import token_entropy


def one(row, said):
    return token_entropy(Records([row(generated=said)]), "forget").value


def test_by_hand(row):
    """Of four words a, a, b, c the entropy is 1.5 bits of at most 2."""
    assert one(row, "a a b c") == pytest.approx(1.5 / 2)
    assert one(row, "a b c") == pytest.approx(1) and one(row, "x x x") == 0
    assert one(row, "word") == one(row, "") == 0  # too short to say anything
    assert one(row, "a a b") == pytest.approx(
        (2 / 3 * math.log2(1.5) + 1 / 3 * math.log2(3)) / math.log2(3)
    )
