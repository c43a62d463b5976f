"""Accuracy: the share of rows whose class is the first choice, and no number for texts."""

import numpy as np

from expunge.core.results import Record, Records
from expunge.metrics.accuracy import accuracy


def row(i, hit):
    hits = np.array(hit, dtype=bool)
    logp = np.full(len(hits), -0.5, dtype=np.float32)
    return Record(
        "unlearned", "forget", f"r{i}", f"r{i}", "answer", n_tokens=len(hits), logp=logp, hit=hits
    )


def test_the_share_of_right_classes():
    found = accuracy(Records([row(0, [1]), row(1, [0]), row(2, [1]), row(3, [1])]), "forget")
    assert found.value == 0.75 and found.n == 4 and found.better == "gold"


def test_all_and_none():
    assert accuracy(Records([row(i, [1]) for i in range(3)]), "forget").value == 1.0
    assert accuracy(Records([row(i, [0]) for i in range(3)]), "forget").value == 0.0


def test_texts_have_none():
    found = accuracy(Records([row(0, [1, 1]), row(1, [1])]), "forget")
    assert found.value is None and "exact_memorization" in found.reason
    assert accuracy(Records([]), "forget").value is None
