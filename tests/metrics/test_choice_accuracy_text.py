"""choice_accuracy_text worked by hand; more of it stands in the files that its family shares (see
PLACES in test_every_metric).
"""

from expunge.core.results import Records
from expunge.metrics.choice_accuracy_text import choice_accuracy_text


def test_by_hand(row):
    """Sums -4 and -3, but of four tokens and of one: per token the first is likelier, as a whole
    the second.
    """
    rows = Records([row("mmlu", 0, "texts", options=[-4.0, -3.0], option_tokens=[4, 1], right=0)])
    assert choice_accuracy_text(rows, "mmlu").value == 1
    assert choice_accuracy_text(rows, "mmlu", by="sum").value == 0
