"""deviation_score worked by hand; more of it stands in the files that its family shares (see PLACES
in test_every_metric).
"""

import pytest

from expunge.core.results import Records
from expunge.metrics.deviation_score import deviation_score


def test_by_hand(row):
    """Half of the words to forget are said and three quarters of those to keep: 100 sqrt(.5^2 +
    .25^2).
    """
    rows = [
        row("forget", 0, answer="one two", generated="one"),
        row("retain", 0, answer="a b c d", generated="a b c"),
    ]
    assert deviation_score(Records(rows)).value == pytest.approx(100 * (0.25 + 0.0625) ** 0.5)
