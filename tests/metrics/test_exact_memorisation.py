import numpy as np
import pytest

from expunge.core.records import Records
from expunge.metrics.exact_memorisation import exact_memorisation


def test_ends_and_by_hand(row):
    for hit, value in (([True] * 3, 1), ([False] * 3, 0), ([True, False, True, True], 0.75)):
        assert exact_memorisation(Records([row(hit=hit)]), "forget").value == value


def test_mean_over_rows_not_over_tokens(row):
    rows = Records([row(hit=[True]), row(i=1, hit=[False] * 9)])
    assert exact_memorisation(rows, "forget").value == 0.5


def test_against_a_loop_with_and_without_eos(unlearned):
    for eos in (False, True):
        found = [sum(bool(h) for h in r.hit[: None if eos else -1]) / (len(r.hit) - (not eos)) for r in unlearned.of("forget")]
        assert exact_memorisation(unlearned, "forget", eos=eos).value == pytest.approx(np.mean(found), rel=1e-12)


def test_raw_text_has_no_eos_to_drop(row):
    assert exact_memorisation(Records([row(hit=[True, False], eos=False)]), "forget").value == 0.5
    assert exact_memorisation(Records([row(hit=[True, False], eos=True)]), "forget").value == 1
