import math

import pytest

from expunge.core.results import Records
from expunge.metrics.paraphrase_probability import paraphrase_probability


def test_it_is_of_the_answer_in_other_words(row):
    rows = [row(i=i, mean_loss=0.0) for i in range(2)] + [
        row(i=i, variant="paraphrase", mean_loss=math.log(2 + 2 * i)) for i in range(2)
    ]
    assert paraphrase_probability(Records(rows), "forget").value == pytest.approx(
        (1 / 2 + 1 / 4) / 2
    )


def test_without_other_words_it_is_said(row):
    assert paraphrase_probability(Records([row(mean_loss=1.0)]), "forget").value is None
