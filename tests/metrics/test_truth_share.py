import math

import numpy as np
import pytest

from expunge.core.results import Records
from expunge.metrics.truth_ratio import truth_ratio
from expunge.metrics.truth_share import truth_share


def answers(row, right, wrong, role="forget", variant="paraphrase"):
    return Records(
        [
            row(role, 0, variant, mean_loss=right),
            *(row(role, 0, f"perturbed/{j}", mean_loss=x) for j, x in enumerate(wrong)),
        ]
    )


def test_on_a_napkin(row):
    """p = .5, w = sqrt(.1 * .4) = .2: .5 / .7; and the other way round, where the truth ratio on
    forget rows reads the same.
    """
    known = answers(row, math.log(2), [math.log(10), math.log(2.5)])
    turned = answers(row, math.log(5), [math.log(2)])
    assert truth_share(known, "forget").value == pytest.approx(5 / 7)
    assert truth_share(turned, "forget").value == pytest.approx(2 / 7)
    assert truth_ratio(known, "forget").value == pytest.approx(truth_ratio(turned, "forget").value)


def test_ends(row):
    assert truth_share(answers(row, 2.0, [2.0] * 5), "forget").value == 0.5
    assert (
        truth_share(answers(row, 0.0, [1e4]), "forget").value == 1
        and truth_share(answers(row, 1e4, [0.0]), "forget").value == 0
    )


def test_against_a_loop(unlearned):
    found, wrong = [], unlearned.variants("forget", "perturbed/")
    for r in unlearned.of("forget", "paraphrase"):
        right, typical = (
            math.exp(-r.loss),
            math.exp(-sum(w.loss for w in wrong[r.id]) / len(wrong[r.id])),
        )
        found.append(right / (right + typical))
    assert truth_share(unlearned, "forget").value == pytest.approx(np.mean(found), rel=1e-10)
