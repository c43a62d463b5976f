import numpy as np

from expunge.core.results import Records
from expunge.metrics.verbatim_rate import verbatim_rate


def test_by_hand_and_ends(row):
    rows = Records(
        row(i=i, hit=h, eos=True)
        for i, h in enumerate(([True, True, False], [True, False, True], [True, True, True]))
    )
    assert verbatim_rate(rows, "forget").value == 2 / 3  # the end token does not count
    assert verbatim_rate(rows, "forget", eos=True).value == 1 / 3
    assert verbatim_rate(Records([row(hit=[False], eos=False)]), "forget").value == 0
    assert verbatim_rate(Records([row(hit=[True], eos=False)]), "forget").value == 1


def test_is_where_extraction_strength_is_one(unlearned):
    found = [bool(np.all(r.hit[:-1])) for r in unlearned.of("forget")]
    assert verbatim_rate(unlearned, "forget").value == np.mean(found)


def test_without_hits_it_is_said(row):
    assert (
        verbatim_rate(Records([row(mean_loss=1.0)]), "forget").reason
        == "1 of 1 rows of role forget hold no hit"
    )
