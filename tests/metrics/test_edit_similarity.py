"""Edit similarity by hand and against nltk."""

import numpy as np
import pytest
from nltk.metrics import edit_distance

from expunge.core.results import Records
from expunge.metrics.edit_similarity import edit_similarity
from expunge.scoring.text import edit_distance_of


def one(metric, row, answer, generated, role="forget", **kw):
    return metric(Records([row(role, answer=answer, generated=generated)]), role, **kw).value


def test_edit_similarity(row):
    assert one(edit_similarity, row, "kitten", "sitting") == pytest.approx(1 - 3 / 7)
    assert one(edit_similarity, row, "", "") == one(edit_similarity, row, "abc", "abc") == 1
    assert (
        one(edit_similarity, row, "abc", "")
        == one(edit_similarity, row, "", "abc")
        == 0
        == edit_distance_of("", "")
    )
    rng = np.random.default_rng(0)
    for _ in range(100):
        a, b = ("".join(rng.choice(list("abcé"), rng.integers(0, 12))) for _ in range(2))
        assert edit_distance_of(a, b) == edit_distance(a, b)
    rows = Records(
        [row(i=0, answer="kitten", generated="sitting"), row(i=9, answer="abcd", generated="abcd")]
    )
    m = edit_similarity(rows, "forget")
    # a distance under the name of a similarity is 1.5
    assert m.value == pytest.approx((4 / 7 + 1) / 2) and m.parts == {"distance": 1.5}
