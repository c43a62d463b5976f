"""mia_min_k worked by hand; more of it stands in the files that its family shares (see PLACES in
test_every_metric).
"""

from expunge.core.results import Records
from expunge.metrics.mia_min_k import mia_min_k


def test_by_hand(row):
    """Of five tokens the two least likely count at k = .4: means -3.5 against -3 and -4.5: one of
    two pairs, by the mean of all both.
    """
    rows = [row("forget", 0, logp=[-3.0, -4.0, 0.0, 0.0, 0.0])]
    rows += [
        row("holdout", i, logp=x) for i, x in enumerate(([-3.0] * 5, [-4.0, -5.0, 0.0, 0.0, 0.0]))
    ]
    assert mia_min_k(Records(rows)).value == 0.5
    assert mia_min_k(Records(rows), k=1.0).value == 1  # -1.4 against -3 and -1.8
