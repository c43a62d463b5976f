"""memorization_accuracy worked by hand; more of it stands in the files that its family shares (see
PLACES in test_every_metric).
"""

import pytest

from expunge.core.results import Records
from expunge.metrics.memorization_accuracy import memorization_accuracy


def test_by_hand(row):
    """Of hits 1, 0, 1 and an end token that is hit: 2/3, with it 3/4, of the first two 1/2."""
    rows = Records([row(hit=[True, False, True, True], eos=True)])
    assert memorization_accuracy(rows, "forget").value == pytest.approx(2 / 3)
    assert memorization_accuracy(rows, "forget", eos=True).value == 0.75
    assert memorization_accuracy(rows, "forget", window=2).value == 0.5
