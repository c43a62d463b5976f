"""mia_loss worked by hand; more of it stands in the files that its family shares (see PLACES in
test_every_metric).
"""

from expunge.core.results import Records
from expunge.metrics.mia_loss import mia_loss


def test_by_hand(row):
    """Losses 1, 3 of forget rows and 2, 4 of holdout rows: three of four pairs are the right way
    round.
    """
    rows = [row("forget", i, mean_loss=x) for i, x in enumerate((1.0, 3.0))]
    rows += [row("holdout", i, mean_loss=x) for i, x in enumerate((2.0, 4.0))]
    assert mia_loss(Records(rows)).value == 0.75
