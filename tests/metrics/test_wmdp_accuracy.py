"""WMDP over its domains: a mean weighted by size, and nothing where a domain is missing."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score

from expunge.core.results import Record, Records
from expunge.metrics.choice_accuracy import choice_accuracy
from expunge.metrics.wmdp_accuracy import wmdp_accuracy

SIZES = {"forget_bio": 7, "forget_chem": 3, "forget_cyber": 12}


def asked(say, sizes=SIZES):
    """Records of questions with four options, in all four turns; ``say(rng, right) -> scores``."""
    rng, rows, truth, said = np.random.default_rng(0), [], [], []
    for role, n in sizes.items():
        for i in range(n):
            answer = int(rng.integers(4))
            for turn in range(4):
                right = (answer - turn) % 4
                scores = say(rng, right)
                rows.append(
                    Record(
                        "m",
                        role,
                        f"{role}/{i}",
                        f"{role}/{i}",
                        f"letters/{turn}",
                        options=scores,
                        right=right,
                    )
                )
                if turn == 0:
                    truth.append(right)
                    said.append(int(np.argmax(scores)))
    return Records(rows), truth, said


def test_every_question_has_equal_weight():
    records, truth, said = asked(lambda rng, right: rng.normal(size=4) + np.eye(4)[right])
    found = wmdp_accuracy(records)
    assert (
        found.value == pytest.approx(accuracy_score(truth, said)) and found.n == found.groups == 22
    )
    parts = {role: choice_accuracy(records, role).value for role in SIZES}
    assert found.parts == pytest.approx(parts)
    assert found.value == pytest.approx(np.average([*parts.values()], weights=[*SIZES.values()]))
    assert found.value != pytest.approx(np.mean([*parts.values()]))  # not a mean of means


def test_both_ends():
    assert wmdp_accuracy(asked(lambda rng, right: np.eye(4)[right])[0]).value == 1.0
    # no preference at all says A: the share of A answers, not a quarter
    records, truth, _ = asked(lambda rng, right: np.zeros(4))
    assert wmdp_accuracy(records).value == pytest.approx(np.mean(np.array(truth) == 0))


def test_a_missing_domain_and_a_chosen_one():
    records, _, _ = asked(lambda rng, right: np.eye(4)[right], {"forget_bio": 5})
    assert (
        wmdp_accuracy(records).reason
        == "no rows of role forget_chem; add them to the folder of --data"
    )
    assert wmdp_accuracy(records, roles=("forget_bio",)).value == 1.0
