"""N-gram entropy and the entropies that it is made of."""

import math
from collections import Counter

import numpy as np
import pytest

from expunge.core.results import Records
from expunge.metrics.ngram_entropy import ngram_entropy
from expunge.metrics.token_entropy import token_entropy
from expunge.scoring.text import entropy_of, ngram_entropy_of, token_entropy_of

VOCABULARY = ["river", "town", "the", "of", "author", "writes", "in", "1991"]


def one(metric, row, answer, generated, role="forget", **kw):
    return metric(Records([row(role, answer=answer, generated=generated)]), role, **kw).value


def brute_entropy(items):
    return (
        -sum(c / len(items) * math.log2(c / len(items)) for c in Counter(items).values())
        if items
        else 0.0
    )


def test_entropy_by_hand(row):
    assert entropy_of("abcd") == 2 and entropy_of("aaaa") == 0 and entropy_of("") == 0
    assert one(ngram_entropy, row, "", "x x x x") == 0
    assert one(token_entropy, row, "", "a b c d") == 1 and one(token_entropy, row, "", "x x") == 0
    assert token_entropy_of("one") == token_entropy_of("") == 0


def test_ngram_entropy_against_a_loop():
    rng = np.random.default_rng(1)
    for _ in range(50):
        said = [str(w) for w in rng.choice(VOCABULARY, rng.integers(0, 30))]
        two, three = ([tuple(said[i : i + n]) for i in range(len(said) - n + 1)] for n in (2, 3))
        expected = (2 / 3 * brute_entropy(two) + 4 / 3 * brute_entropy(three)) / 2
        assert ngram_entropy_of(" ".join(said)) == pytest.approx(expected, abs=1e-12)
        assert token_entropy_of(" ".join(said)) == pytest.approx(
            brute_entropy(said) / math.log2(len(said)) if len(said) > 1 else 0
        )
