from dataclasses import replace

import numpy as np
import pytest

from expunge.core.results import Records
from expunge.metrics.token_rank import token_rank


def ranked(row, ranks, i=0, eos=False):
    return replace(row(i=i, logp=[-1.0] * len(ranks)), rank=np.array(ranks), eos=eos)


def test_on_a_napkin(row):
    """Ranks 1, 2, 4 of 100 and beyond: (1 + 1/2 + 1/4) / 3 and 1/200."""
    found = token_rank(Records([ranked(row, [0, 1, 3]), ranked(row, [199], i=1)]), "forget")
    assert found.value == pytest.approx((7 / 12 + 1 / 200) / 2) and found.parts == {"hit_rate": 0.5}
    assert token_rank(Records([ranked(row, [199])]), "forget", top=200).parts == {"hit_rate": 1.0}


def test_the_end_token_does_not_count(row):
    assert token_rank(Records([ranked(row, [1, 0], eos=True)]), "forget").value == 0.5
    assert token_rank(Records([ranked(row, [3], eos=True)]), "forget").value == 0.25


def test_without_ranks_it_is_said(row):
    assert (
        token_rank(Records([row(mean_loss=1.0)]), "forget").reason
        == "1 of 1 rows of role forget hold no rank"
    )
