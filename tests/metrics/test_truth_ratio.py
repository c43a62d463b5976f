import math

import numpy as np
import pytest

from expunge.core.results import Records
from expunge.metrics.truth_ratio import truth_ratio


def answers(row, right, wrong, i=0, role="forget", variant="paraphrase"):
    return [
        row(role, i, variant, mean_loss=right),
        *(row(role, i, f"perturbed/{j}", mean_loss=x) for j, x in enumerate(wrong)),
    ]


def test_on_a_napkin(row):  # R = sqrt(.1 * .4) / .5 = .4
    rows = [math.log(2), [math.log(10), math.log(2.5)]]
    assert truth_ratio(Records(answers(row, *rows)), "forget").value == pytest.approx(0.4)
    assert truth_ratio(
        Records(answers(row, *rows, role="retain")), "retain"
    ).value == pytest.approx(0.6)


def test_forget_is_blind_to_the_side_and_retain_is_not(row):
    wrong_likelier = [math.log(5), [math.log(2)]]  # R = .5 / .2
    assert truth_ratio(Records(answers(row, *wrong_likelier)), "forget").value == pytest.approx(0.4)
    assert truth_ratio(Records(answers(row, *wrong_likelier, role="retain")), "retain").value == 0


def test_ends(row):
    assert truth_ratio(Records(answers(row, 2.0, [2.0] * 5)), "forget").value == 1
    assert truth_ratio(Records(answers(row, 0.0, [1e4] * 5)), "forget").value == 0
    assert truth_ratio(Records(answers(row, 0.0, [1e4] * 5, role="retain")), "retain").value == 1


def test_the_answer_stands_in_where_there_is_no_paraphrase(row):
    rows = Records(answers(row, 1.0, [2.0], role="world_facts", variant="answer"))
    assert truth_ratio(rows, "world_facts").value == pytest.approx(1 - math.exp(-1))


@pytest.mark.parametrize("role", ["forget", "retain", "real_authors"])
def test_against_a_loop(role, unlearned):
    found, wrong = [], unlearned.variants(role, "perturbed/")
    for r in unlearned.of(role, "paraphrase") or unlearned.of(role):
        p = [math.exp(-w.loss) for w in wrong[r.id]]
        ratio = math.prod(p) ** (1 / len(p)) / math.exp(-r.loss)
        found.append(min(ratio, 1 / ratio) if role == "forget" else max(0, 1 - ratio))
    assert truth_ratio(unlearned, role).value == pytest.approx(np.mean(found), rel=1e-10)


def test_epsilon_decides_above_twenty_nats_and_is_off_by_default(row):
    """A collapsed model: 45 nats everywhere.

    Nothing is preferred, which only the form without epsilon says.
    """
    collapsed = Records(answers(row, 45.0, [45.0] * 5))
    assert truth_ratio(collapsed, "forget").value == 1
    assert truth_ratio(collapsed, "forget", epsilon=1e-10).value == pytest.approx(
        math.exp(-45) / (math.exp(-45) + 1e-10)
    )
    assert truth_ratio(Records(answers(row, 2000.0, [2001.0])), "forget").value == pytest.approx(
        math.exp(-1)
    )
