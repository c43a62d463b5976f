"""Answer F1 against SQuAD's own steps."""

import re
import string

import numpy as np
import pytest

from expunge.core.results import Records
from expunge.metrics.answer_f1 import answer_f1


def one(metric, row, answer, generated, role="forget", **kw):
    return metric(Records([row(role, answer=answer, generated=generated)]), role, **kw).value


def test_the_best_of_several_right_answers_counts(row):
    rows = lambda said: Records(
        [row(answer="Bernardo Bertolucci", also=("Bertolucci", "B. Bertolucci"), generated=said)]
    )
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
        assert one(answer_f1, row, answer, said) == pytest.approx(
            2 * p * r / (p + r) if shared else 0
        )
    assert (
        one(answer_f1, row, "The River", "river!") == 1
        and one(answer_f1, row, "The", "an") == one(answer_f1, row, "x", "") == 0
    )
    assert one(answer_f1, row, "Rim of Fire", "Rim of Fire\nQ: What?", until=("\n",)) == 1
