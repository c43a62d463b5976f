"""Unfinished is a share."""

from expunge.core.results import Records
from expunge.metrics.unfinished import unfinished


def test_unfinished_is_a_share(row):
    rows = Records(row("forget", i, generated="a", unfinished=i < 1) for i in range(4))
    assert unfinished(rows, "forget").value == 0.25
    assert unfinished(rows, "forget").better == "gold"
    kept = Records(row("retain", i, generated="a", unfinished=False) for i in range(4))
    assert (unfinished(kept, "retain").value, unfinished(kept, "retain").better) == (0, "lower")
