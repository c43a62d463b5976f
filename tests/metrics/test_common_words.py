"""Common words by hand and against a recursion."""

import numpy as np

from expunge.core.results import Records
from expunge.metrics.common_words import common_words

VOCABULARY = ["river", "town", "the", "of", "author", "writes", "in", "1991"]


def one(metric, row, answer, generated, role="forget", **kw):
    return metric(Records([row(role, answer=answer, generated=generated)]), role, **kw).value


def lcs(a, b):
    if not a or not b:
        return 0
    return 1 + lcs(a[1:], b[1:]) if a[0] == b[0] else max(lcs(a[1:], b), lcs(a, b[1:]))


def test_common_words(row):
    assert one(common_words, row, "the cat sat on the mat", "The cat is on a mat") == 3
    assert one(common_words, row, "a b", "") == 0 and one(common_words, row, "a b c", "a b c") == 3
    rng = np.random.default_rng(0)
    for _ in range(50):
        a, b = (" ".join(rng.choice(VOCABULARY, rng.integers(0, 8))) for _ in range(2))
        assert one(common_words, row, a, b) == lcs(a.split(), b.split())
