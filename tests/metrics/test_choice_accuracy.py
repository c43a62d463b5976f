"""choice_accuracy worked by hand; more of it stands in the files that its family shares (see PLACES
in test_every_metric).
"""

from expunge.core.results import Records
from expunge.metrics.choice_accuracy import choice_accuracy


def test_by_hand(row):
    """Two questions of two options, the right letter chosen in one."""
    rows = [
        row("mmlu", i, f"letters/{t}", options=[0.0, 1.0], right=(r + t) % 2)
        for i, r in enumerate((1, 0))
        for t in (0, 1)
    ]
    assert choice_accuracy(Records(rows), "mmlu").value == 0.5
