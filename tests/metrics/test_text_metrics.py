"""Metrics of written texts: by hand, against nltk or a loop, both ends."""

import gzip
import json
import math
import re
import string
import warnings
from collections import Counter

import numpy as np
import pytest
from nltk.metrics import edit_distance
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

from expunge.core.records import Records
from expunge.maths.overlap import overlap
from expunge.maths.texts import (
    bleu_of,
    edit_distance_of,
    entities_of,
    entropy_of,
    ngram_entropy_of,
    richness_of,
    token_entropy_of,
    words,
)
from expunge.metrics.answer_f1 import answer_f1
from expunge.metrics.bleu import bleu
from expunge.metrics.common_words import common_words
from expunge.metrics.edit_similarity import edit_similarity
from expunge.metrics.linguistic_score import linguistic_score
from expunge.metrics.ngram_entropy import ngram_entropy
from expunge.metrics.rouge_1_recall import rouge_1_recall
from expunge.metrics.token_entropy import token_entropy
from expunge.metrics.unfinished import unfinished

VOCABULARY = ["river", "town", "the", "of", "author", "writes", "in", "1991"]


def one(metric, row, answer, generated, role="forget", **kw):
    return metric(Records([row(role, answer=answer, generated=generated)]), role, **kw).value


# ------------------------------------------------------------------ BLEU


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
    return min(1.0, math.exp(1 - len(true) / len(said))) * math.exp(sum(logs) / len(logs)) if said else 0.0


def test_bleu_against_a_loop_and_nltk():
    rng = np.random.default_rng(0)
    for _ in range(300):
        true, said = ([str(w) for w in rng.choice(VOCABULARY, rng.integers(1, 14))] for _ in range(2))
        found = bleu_of(" ".join(true), " ".join(said))
        assert found == pytest.approx(brute_bleu(true, said, 4), abs=1e-12)
        if len(said) >= 4:  # nltk has no effective order
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                theirs = sentence_bleu([true], said, smoothing_function=SmoothingFunction().method3)
            assert found == pytest.approx(theirs, abs=1e-12)
            plain = sentence_bleu([true], said) if overlap(said, true, 4) else 0.0
            assert bleu_of(" ".join(true), " ".join(said), smooth=False) == pytest.approx(plain, abs=1e-12)


def test_bleu_at_its_ends(row):
    assert one(bleu, row, "the author lives in Taipei", "the author lives in Taipei") == 1
    assert one(bleu, row, "Paris", "Paris") == 1  # short: only the orders that there are
    assert one(bleu, row, "the author lives in Taipei", "") == 0
    assert one(bleu, row, "the author lives in Taipei", "nobody knows") == 0
    assert one(bleu, row, "東京 は 日本 の 首都", "東京 は 日本 の 首都") == 1  # any script
    assert words("It's 3.5, o'clock") == ["It's", "3", ".", "5", ",", "o'clock"]


# ------------------------------------------------------------------ ROUGE-1, answers


def test_rouge_1_is_a_bag_of_words(row):
    assert one(rouge_1_recall, row, "a b c d", "d c b a") == 1
    assert one(rouge_1_recall, row, "she writes novels", "she writing novel") == 1
    assert one(rouge_1_recall, row, "she writes novels", "she writing novel", stemmer=False) == pytest.approx(1 / 3)
    assert one(rouge_1_recall, row, "the the the", "the") == pytest.approx(1 / 3)  # each as often as it has it


def test_rouge_1_is_exact_on_published_pairs(row, shared):
    path = shared / "data/tofu_eval_logs/open_unlearning/Llama-3.2-1B-Instruct_full_forget10.EVAL.json.gz"
    entries = list(json.loads(gzip.decompress(path.read_bytes()))["forget_Q_A_ROUGE"]["value_by_index"].values())
    for e in entries:
        assert one(rouge_1_recall, row, e["ground_truth"], e["generation"]) == e["rouge1_recall"]


def test_the_best_of_several_right_answers_counts(row):
    rows = lambda said: Records([row(answer="Bernardo Bertolucci", also=("Bertolucci", "B. Bertolucci"), generated=said)])
    assert answer_f1(rows("bertolucci"), "forget").value == 1
    assert answer_f1(rows("Fellini"), "forget").value == 0


def squad_words(text):
    text = "".join(c for c in text.lower() if c not in string.punctuation)
    return re.sub(r"\b(a|an|the)\b", " ", text).split()


def test_answer_f1_is_squads(row):
    rng = np.random.default_rng(0)
    pool = ["The", "a", "River", "town's", "x-ray,", "1991", "of", "Town"]
    for _ in range(300):
        answer, said = (" ".join(rng.choice(pool, rng.integers(1, 7))) for _ in range(2))
        true, said_words = squad_words(answer), squad_words(said)
        shared = sum(min(true.count(w), said_words.count(w)) for w in set(true))
        p, r = shared / max(1, len(said_words)), shared / max(1, len(true))
        assert one(answer_f1, row, answer, said) == pytest.approx(2 * p * r / (p + r) if shared else 0)
    assert one(answer_f1, row, "The River", "river!") == 1 and one(answer_f1, row, "The", "an") == one(answer_f1, row, "x", "") == 0
    assert one(answer_f1, row, "Rim of Fire", "Rim of Fire\nQ: What?", until=("\n",)) == 1


# ------------------------------------------------------------------ verbatim


def test_edit_similarity(row):
    assert one(edit_similarity, row, "kitten", "sitting") == pytest.approx(1 - 3 / 7)
    assert one(edit_similarity, row, "", "") == one(edit_similarity, row, "abc", "abc") == 1
    assert one(edit_similarity, row, "abc", "") == one(edit_similarity, row, "", "abc") == 0 == edit_distance_of("", "")
    rng = np.random.default_rng(0)
    for _ in range(100):
        a, b = ("".join(rng.choice(list("abcé"), rng.integers(0, 12))) for _ in range(2))
        assert edit_distance_of(a, b) == edit_distance(a, b)
    rows = Records([row(i=0, answer="kitten", generated="sitting"), row(i=9, answer="abcd", generated="abcd")])
    m = edit_similarity(rows, "forget")
    assert m.value == pytest.approx((4 / 7 + 1) / 2) and m.parts == {"distance": 1.5}  # a distance under the name of a similarity is 1.5


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


# ------------------------------------------------------------------ fluency


def brute_entropy(items):
    return -sum(c / len(items) * math.log2(c / len(items)) for c in Counter(items).values()) if items else 0.0


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
        assert token_entropy_of(" ".join(said)) == pytest.approx(brute_entropy(said) / math.log2(len(said)) if len(said) > 1 else 0)


def test_linguistic_score(row):
    """N = 4 words of V = 3 kinds, two of them once: worked by hand."""
    brunet, honore = richness_of("the river the town")
    assert brunet == pytest.approx(4 ** (3**-0.165)) and honore == pytest.approx(100 * math.log(4) / (1 - 2 / 3 + 0.1))
    parts = [1 / (1 + brunet), 1 / (1 + 1 / honore)]  # the logistic of -ln BI and of ln HS
    assert one(linguistic_score, row, "", "the river the town") == pytest.approx(sum(parts) / 2)
    assert one(linguistic_score, row, "", "the river the town", mean="harmonic") == pytest.approx(2 / (1 / parts[0] + 1 / parts[1]))
    repeated, varied = "river " * 30, " ".join(f"word{i}" for i in range(30))
    assert richness_of(repeated)[0] > richness_of(varied)[0] and richness_of(repeated)[1] < richness_of(varied)[1]
    assert one(linguistic_score, row, "", "") == 0


def test_unfinished_is_a_share(row):
    rows = Records(row("forget", i, generated="a", unfinished=i < 1) for i in range(4))
    assert unfinished(rows, "forget").value == 0.25
    assert unfinished(rows, "forget").better == "gold"
    kept = Records(row("retain", i, generated="a", unfinished=False) for i in range(4))
    assert (unfinished(kept, "retain").value, unfinished(kept, "retain").better) == (0, "lower")


# ------------------------------------------------------------------ names and numbers


@pytest.mark.parametrize(
    ("text", "question", "found"),
    [
        ("The author is Hsiao Yun-Hwa, born in 1991.", "Who was born in 1991?", ("hsiao yun-hwa",)),
        ("She won the Booker Prize in 2003.", "What did she win?", ("booker prize", "2003")),
        ("Jaime Vasquez was born in Santiago, Chile.", "Where was Jaime Vasquez born?", ("santiago", "chile")),
        ("no names at all", "", ()),
        ("", "", ()),
        ("Élodie Nguyễn lives in Łódź.", "", ("élodie nguyễn", "łódź")),
    ],
)
def test_entities(text, question, found):
    assert entities_of(text, question) == found
