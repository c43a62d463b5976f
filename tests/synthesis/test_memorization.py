"""MA and EL: by their definitions, and at both ends."""

from dataclasses import replace

import pytest
import torch
import zoo
from small import rows, small_subject

from expunge.core.stages import Descent
from expunge.losses.terms import nll
from expunge.models.causal_lm.generate import greedy
from expunge.scoring.overlap import overlap
from expunge.synthesis.memorization import accuracy, extraction

ROWS = rows("forget", 8)


def by_loop(subject, row, n=None):
    """MA of a row (EL_n with n), one prefix at a time."""
    found = []
    for t in range(1, len(row) if n is None else len(row) - n + 1):
        with torch.no_grad():
            if n is None:
                found.append(
                    float(
                        int(subject.model(torch.tensor([row.ids[:t]])).logits[0, -1].argmax())
                        == row.ids[t]
                    )
                )
                continue
        said = greedy(subject.model, [row.ids[:t]], [len(row) - t], ())[0]
        true = row.ids[t:]
        grams = lambda x: [tuple(x[i : i + n]) for i in range(len(x) - n + 1)]
        found.append(sum(g in grams(true) for g in grams(said)) / len(grams(true)))
    return sum(found) / len(found)


@pytest.fixture(scope="module")
def subject():
    learn = Descent("learn", (nll(stream="train"),), anchor="train")
    return zoo.changed(
        small_subject(0), learn, {"train": ROWS}, lr=1e-2, steps=60, batch=8, weight_decay=0.0
    )


def test_both_equal_their_definitions(subject):
    some = ROWS[:4]
    assert accuracy(subject, some, batch=3) == pytest.approx([by_loop(subject, r) for r in some])
    assert extraction(subject, some, n=3, batch=5) == pytest.approx(
        [by_loop(subject, r, 3) for r in some]
    )


def test_who_knows_the_answers_extracts_them_and_who_does_not_does_not(subject):
    knows = accuracy(subject, ROWS, span="answer")
    new = accuracy(small_subject(9), ROWS, span="answer")
    assert sum(knows) / len(knows) > 0.95 > 0.2 > sum(new) / len(new)
    perfect = [r for r, k in zip(ROWS, knows) if k == 1 and sum(r.scored) >= 3]
    assert extraction(subject, perfect, n=2, span="answer") == [1.0] * len(perfect)


def test_a_row_shorter_than_n_has_none(subject):
    assert extraction(subject, ROWS[:2], n=40) == [0.0, 0.0]
    assert accuracy(subject, [replace(ROWS[0], scored=(False,) * len(ROWS[0]))], span="answer") == [
        0.0
    ]


def test_overlap_by_hand():
    assert overlap([1, 2, 3, 4], [1, 2, 3, 4], 2) == 1.0
    assert overlap([1, 2, 9, 4], [1, 2, 3, 4], 2) == pytest.approx(1 / 3)
    # not clipped: 12 counts twice
    assert overlap([1, 2, 1, 2], [1, 2, 3, 4], 2) == pytest.approx(2 / 3)
    assert overlap([5, 6], [1, 2], 3) == 0.0
