from dataclasses import replace

import pytest

from expunge.core.results import Records
from expunge.evaluation.likeness import beside_original
from expunge.metrics.likeness_to_original import likeness_to_original
from expunge.scoring.text import bleu_of


def held(row, pairs, subject="unlearned"):
    """Records of a model beside the original: (what the original wrote, what it writes now)."""
    before = [
        replace(row("forget_qa", i, generated=was), subject="original")
        for i, (was, _) in enumerate(pairs)
    ]
    after = [
        replace(row("forget_qa", i, generated=now), subject=subject)
        for i, (_, now) in enumerate(pairs)
    ]
    return beside_original(Records([*before, *after])).only(subject)


def test_on_a_napkin(row):
    """Warsaw is the capital / Warsaw is big: 2 words in common, precision 2/3, recall 2/4, F1 4/7;
    the second row is word for word.
    """
    found = likeness_to_original(
        held(row, [("Warsaw is the capital", "Warsaw is big"), ("Polish", " Polish")]), "forget_qa"
    )
    assert found.value == pytest.approx((4 / 7 + 1) / 2) and found.n == 2
    assert found.parts == {
        "bleu": pytest.approx((bleu_of("Warsaw is the capital", "Warsaw is big") + 1) / 2)
    }


def test_ends(row):
    assert likeness_to_original(held(row, [("Warsaw", "Warsaw"), ("", "")]), "forget_qa").value == 1
    assert (
        likeness_to_original(
            held(row, [("Warsaw", ""), ("Polish", "I do not know")]), "forget_qa"
        ).value
        == 0
    )


def test_without_the_original_it_is_said(row):
    alone = beside_original(Records([row("forget_qa", generated="Warsaw")]))
    assert likeness_to_original(alone, "forget_qa").reason.endswith("give --original")
    with_it = Records([replace(row("forget_qa", generated="Warsaw"), subject="original")])
    assert not beside_original(with_it)[0].given  # it is not held against itself
