import math

import numpy as np
import pytest
from scipy.stats import t

from expunge.core.results import Records
from expunge.metrics.probability import probability


def test_a_uniform_model_gives_one_over_v_whatever_the_length(row):
    rows = Records(row(i=i, logp=[-math.log(50)] * (i + 1)) for i in range(8))
    assert probability(rows, "forget").value == pytest.approx(1 / 50, rel=1e-12)


def test_ends(row):
    assert probability(Records([row(logp=[0.0, 0.0])]), "forget").value == 1
    assert probability(Records([row(logp=[-1e4, -1e4])]), "forget").value == 0


def test_against_a_loop_eos_included(unlearned):
    found = [
        math.prod(math.exp(x) for x in r.logp) ** (1 / len(r.logp)) for r in unlearned.of("forget")
    ]
    assert probability(unlearned, "forget").value == pytest.approx(np.mean(found), rel=1e-6)


def test_a_mean_loss_from_a_log_stands_for_the_tokens(row):
    assert probability(Records([row(mean_loss=math.log(4))]), "forget").value == pytest.approx(0.25)


def test_interval_by_group_is_wider_when_groups_are_alike_inside(row):
    p = np.random.default_rng(0).uniform(0.1, 0.9, 12)
    by = {
        name: probability(
            Records(
                row(i=i, group=str(i // size), mean_loss=-math.log(p[i // 10])) for i in range(120)
            ),
            "forget",
        )
        for name, size in (("author", 10), ("row", 1))
    }
    assert by["author"].value == by["row"].value
    width = {name: m.interval[1] - m.interval[0] for name, m in by.items()}
    assert width["author"] / width["row"] == pytest.approx(
        math.sqrt(10) * t.ppf(0.975, 11) / t.ppf(0.975, 119), rel=0.1
    )


def test_rows_without_losses_are_counted(row):
    m = probability(Records([row(), row(i=1, logp=[-1.0])]), "forget")
    assert m.reason == "1 of 2 rows of role forget hold no loss"
