"""letter_bias worked by hand; more of it stands in the files that its family shares (see PLACES in
test_every_metric).
"""

from expunge.core.results import Records
from expunge.metrics.letter_bias import letter_bias


def test_by_hand(row):
    """Always A of two options is half away from even; each letter once is not at all."""
    asked = lambda scores: [
        row("mmlu", 0, f"letters/{t}", options=x, right=t) for t, x in enumerate(scores)
    ]
    assert letter_bias(Records(asked([[1.0, 0.0], [1.0, 0.0]])), "mmlu").value == 0.5
    assert letter_bias(Records(asked([[1.0, 0.0], [0.0, 1.0]])), "mmlu").value == 0
