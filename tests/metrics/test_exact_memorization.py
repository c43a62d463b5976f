import numpy as np
import pytest

from expunge.core.results import Records
from expunge.metrics.exact_memorization import exact_memorization


def test_ends_and_by_hand(row):
    for hit, value in (([True] * 3, 1), ([False] * 3, 0), ([True, False, True, True], 0.75)):
        assert exact_memorization(Records([row(hit=hit)]), "forget").value == value


def test_mean_over_rows_not_over_tokens(row):
    rows = Records([row(hit=[True]), row(i=1, hit=[False] * 9)])
    assert exact_memorization(rows, "forget").value == 0.5


def test_against_a_loop_with_and_without_eos(unlearned):
    for eos in (False, True):
        found = [
            sum(bool(h) for h in r.hit[: None if eos else -1]) / (len(r.hit) - (not eos))
            for r in unlearned.of("forget")
        ]
        assert exact_memorization(unlearned, "forget", eos=eos).value == pytest.approx(
            np.mean(found), rel=1e-12
        )


def test_raw_text_has_no_eos_to_drop(row):
    assert exact_memorization(Records([row(hit=[True, False], eos=False)]), "forget").value == 0.5
    assert exact_memorization(Records([row(hit=[True, False], eos=True)]), "forget").value == 1


def test_the_last_label_goes_whatever_it_is_where_that_is_asked(row):
    """open-unlearning's form: of hits 1, 0, 1 on a text without an end-of-sequence token the last
    is left out: 1/2, not 2/3.
    """
    for eos, expected in ((False, 2 / 3), (True, 1 / 2)):
        rows = Records([row(hit=[True, False, True], eos=eos)])
        assert exact_memorization(rows, "forget").value == pytest.approx(expected)
        assert exact_memorization(rows, "forget", last=False).value == pytest.approx(1 / 2)
    # that token alone is kept
    assert exact_memorization(Records([row(hit=[True], eos=True)]), "forget").value == 1
