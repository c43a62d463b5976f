"""IdkDPO by hand."""

from math import exp

import pytest
from napkin import a_pass

from expunge.methods.idk_dpo import idk_dpo


def rewards(win, lose, beta=0.1):
    """The term at log-ratios ``win`` and ``lose``, start at e^-20 for both."""
    start = exp(-20.0)
    term = idk_dpo(beta=beta).terms[0]
    return term(a_pass(p=[exp(win - 20)], start=[start], stream="alternate"), a_pass(p=[exp(lose - 20)], start=[start])).item()


def test_known_rewards():  # (2/beta) log(1 + exp(-beta (3 + 2))) and 20 ln 2 at the start
    assert rewards(3, -2) == pytest.approx(9.481540, abs=1e-5)
    assert rewards(0, 0) == pytest.approx(13.862944, abs=1e-5)
