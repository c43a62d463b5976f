"""mia_zlib worked by hand; more of it stands in the files that its family shares (see PLACES in
test_every_metric).
"""

from expunge.core.results import Records
from expunge.metrics.mia_zlib import mia_zlib


def test_by_hand(row):
    """Log-probabilities per byte -2/10 against -3/20 and -3/10: one pair of two; in sums of 4 and 2
    tokens -8/10, -6/20, -6/10: none.
    """
    rows = [row("forget", 0, mean_loss=2.0, n_tokens=4, zlib=10)]
    rows += [row("holdout", i, mean_loss=3.0, n_tokens=2, zlib=z) for i, z in enumerate((20, 10))]
    assert mia_zlib(Records(rows)).value == 0.5
    assert mia_zlib(Records(rows), loss="total").value == 0
