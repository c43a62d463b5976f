"""BLEU against a loop and nltk."""

import math
import warnings

import numpy as np
import pytest
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

from expunge.core.results import Records
from expunge.metrics.bleu import bleu
from expunge.scoring.overlap import overlap
from expunge.scoring.text import bleu_of, words

VOCABULARY = ["river", "town", "the", "of", "author", "writes", "in", "1991"]


def one(metric, row, answer, generated, role="forget", **kw):
    return metric(Records([row(role, answer=answer, generated=generated)]), role, **kw).value


def brute_bleu(true, said, order):
    logs, zeros = [], 0
    for n in range(1, min(order, len(said)) + 1):
        spoken = [tuple(said[i : i + n]) for i in range(len(said) - n + 1)]
        left = [tuple(true[i : i + n]) for i in range(len(true) - n + 1)]
        hits = 0
        for g in spoken:
            if g in left:
                left.remove(g)
                hits += 1
        if n == 1 and not hits:
            return 0.0
        zeros += hits == 0
        logs.append(math.log(hits / len(spoken) if hits else 1 / (2**zeros * len(spoken))))
    return (
        min(1.0, math.exp(1 - len(true) / len(said))) * math.exp(sum(logs) / len(logs))
        if said
        else 0.0
    )


def test_bleu_against_a_loop_and_nltk():
    rng = np.random.default_rng(0)
    for _ in range(300):
        true, said = (
            [str(w) for w in rng.choice(VOCABULARY, rng.integers(1, 14))] for _ in range(2)
        )
        found = bleu_of(" ".join(true), " ".join(said))
        assert found == pytest.approx(brute_bleu(true, said, 4), abs=1e-12)
        if len(said) >= 4:  # nltk has no effective order
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                theirs = sentence_bleu([true], said, smoothing_function=SmoothingFunction().method3)
            assert found == pytest.approx(theirs, abs=1e-12)
            plain = sentence_bleu([true], said) if overlap(said, true, 4) else 0.0
            assert bleu_of(" ".join(true), " ".join(said), smooth=False) == pytest.approx(
                plain, abs=1e-12
            )


def test_bleu_at_its_ends(row):
    assert one(bleu, row, "the author lives in Taipei", "the author lives in Taipei") == 1
    assert one(bleu, row, "Paris", "Paris") == 1  # short: only the orders that there are
    assert one(bleu, row, "the author lives in Taipei", "") == 0
    assert one(bleu, row, "the author lives in Taipei", "nobody knows") == 0
    assert one(bleu, row, "東京 は 日本 の 首都", "東京 は 日本 の 首都") == 1  # any script
    assert words("It's 3.5, o'clock") == ["It's", "3", ".", "5", ",", "o'clock"]
