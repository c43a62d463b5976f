import math

import numpy as np
import pytest

from expunge.core.results import Records
from expunge.metrics.choice_probability import choice_probability


def answers(row, right, wrong, i=0, role="real_authors"):
    return [
        row(role, i, mean_loss=right),
        *(row(role, i, f"perturbed/{j}", mean_loss=x) for j, x in enumerate(wrong)),
    ]


def test_on_a_napkin(row):  # .2 / (.2 + .1 + .1)
    rows = Records(answers(row, math.log(5), [math.log(10)] * 2))
    assert choice_probability(rows, "real_authors").value == pytest.approx(0.5)


def test_ends_and_chance(row):
    assert choice_probability(Records(answers(row, 0.0, [1e4, 1e4])), "real_authors").value == 1
    assert choice_probability(Records(answers(row, 1e4, [0.0])), "real_authors").value == 0
    assert choice_probability(
        Records(answers(row, 3.0, [3.0] * 3)), "real_authors"
    ).value == pytest.approx(0.25)


def test_all_answers_far_below_what_a_float_holds(row):  # without the log space this is 0 / 0
    rows = Records(answers(row, 2000.0, [2000.0 + math.log(3)]))
    assert choice_probability(rows, "real_authors").value == pytest.approx(0.75)


def test_against_a_loop_with_and_without_epsilon(unlearned):
    for epsilon in (0.0, 0.05):
        found = []
        for r in unlearned.of("world_facts"):
            p = [np.exp(-w.loss) for w in unlearned.variants("world_facts", "perturbed/")[r.id]]
            found.append(np.exp(-r.loss) / (np.exp(-r.loss) + sum(p) + epsilon))
        assert choice_probability(unlearned, "world_facts", epsilon=epsilon).value == pytest.approx(
            np.mean(found), rel=1e-12
        )


def test_a_row_without_wrong_answers_is_said(row):
    m = choice_probability(
        Records([*answers(row, 1.0, [2.0]), row("real_authors", 1, mean_loss=1.0)]), "real_authors"
    )
    assert m.value is None
    assert "1 of 2 rows" in m.reason
