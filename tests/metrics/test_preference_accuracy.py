import numpy as np
import pytest

from expunge.core.results import Records
from expunge.metrics.preference_accuracy import preference_accuracy


def answers(row, right, wrong, i=0):
    return [
        row("locality", i, mean_loss=right),
        *(row("locality", i, f"perturbed/{j}", mean_loss=x) for j, x in enumerate(wrong)),
    ]


def test_ends_and_ties(row):
    assert preference_accuracy(Records(answers(row, 1.0, [2.0, 3.0])), "locality").value == 1
    assert preference_accuracy(Records(answers(row, 2.5, [2.0, 3.0])), "locality").value == 0
    assert (
        preference_accuracy(Records(answers(row, 2.4, [2.0, 3.0])), "locality", wrong="mean").value
        == 1
    )
    assert preference_accuracy(Records(answers(row, 2.0, [2.0])), "locality").value == 0.5


def test_against_a_loop(unlearned):
    wrong = unlearned.variants("retain", "perturbed/")
    found = [float(all(r.loss < w.loss for w in wrong[r.id])) for r in unlearned.of("retain")]
    assert preference_accuracy(unlearned, "retain").value == pytest.approx(np.mean(found))


def test_what_is_missing_is_said(row):
    assert (
        "have no wrong answers"
        in preference_accuracy(Records([row("locality", 0, mean_loss=1.0)]), "locality").reason
    )
    assert (
        preference_accuracy(Records(), "locality").reason
        == "no rows of role locality; add them to the folder of --data"
    )
    assert (
        "no finite value"
        in preference_accuracy(Records(answers(row, float("nan"), [1.0])), "locality").reason
    )
