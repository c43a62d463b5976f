"""The mark: nothing in unmarked text, linear in the share of marked words, and only its own key
finds it.
"""

from itertools import pairwise
from random import Random

import numpy as np
import pytest
from scipy.stats import kstest

from expunge.benchmarks.waterdrum import marked
from expunge.core.results import Records
from expunge.metrics.watermark_strength import watermark_strength
from expunge.scoring.watermark import calibration, choose, excess, preferred, strength


def texts(share, seed=0, n=20, key="k"):
    return [" ".join(words) for words in marked(Random(f"{share}/{seed}"), key, n, share)]


def test_unmarked_text_is_standard_normal():
    z = [strength(texts(0.0, seed, 2), "k")[1] for seed in range(300)]
    assert kstest(z, "norm").pvalue > 0.01
    assert abs(np.mean(z)) < 0.2 and 0.85 < np.std(z) < 1.15


def test_strength_is_linear_in_the_share():
    shares = np.linspace(0, 1, 9)
    strengths = [strength(texts(s, 1, 40), "k")[0] for s in shares]
    slope, intercept, r2 = calibration(shares, strengths)
    assert r2 > 0.98 and slope > 0.7 and abs(intercept) < 0.06
    assert calibration([0, 1, 2], [1, 3, 5]) == pytest.approx((2, 1, 1))


def test_only_its_own_key_finds_it():
    own, other = strength(texts(1.0), "k"), strength(texts(1.0), "another")
    assert own[1] > 20 and own[0] > 0.9
    assert abs(other[1]) < 4


def test_repeating_oneself_counts_once():
    once = excess("one two three", "k")
    assert excess("one two three " * 50, "k")[1] <= once[1] + 1


def test_by_a_plain_loop(row):
    said = ["the cat sat on the mat", "a dog ran far away from home", ""]
    records = Records(row(i=i, group=str(i), generated=t, answer="x") for i, t in enumerate(said))
    n = total = 0
    for t in said:
        words = t.split()
        for a, b in pairwise(words):
            n, total = n + 1, total + (1 if preferred("key", a, b) else -1)
    m = watermark_strength(records, "forget", key="key")
    assert m.value == pytest.approx(total / n) and m.parts["words"] == n and m.n == 3
    assert m.interval[0] <= m.value <= m.interval[1]


def test_choose_takes_the_first_that_the_key_prefers():
    words = [f"w{i}" for i in range(20)]
    found = choose("k", "before", words)
    assert preferred("k", "before", found) and not any(
        preferred("k", "before", w) for w in words[: words.index(found)]
    )
    none = [w for w in words if not preferred("k", "before", w)]
    assert choose("k", "before", none) == none[0]


def test_no_words_is_said(row):
    assert (
        "have no two words"
        in watermark_strength(Records([row(generated="", answer="x")]), "forget", key="k").reason
    )
    assert (
        watermark_strength(Records([row(mean_loss=1.0)]), "forget").reason
        == "1 of 1 rows of role forget hold no generated"
    )


def test_without_a_key_there_is_no_number(row):
    """An empty key is a key that nobody gave: its halves are noise, and noise is not a strength."""
    m = watermark_strength(Records([row(generated="the cat sat on the mat", answer="x")]), "forget")
    assert m.value is None and "the owner's key" in m.reason
