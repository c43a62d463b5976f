from itertools import product

import numpy as np
import pytest
from scipy.stats import ks_2samp

from expunge.core.results import Records
from expunge.metrics.forget_quality import forget_quality
from expunge.scoring.bootstrap import ks_pvalue
from expunge.scoring.permutation import ks_pvalue_by_groups


def model(row, right, wrong, group=20):
    """Rows whose log truth ratio is right - wrong."""
    rows = []
    for i, (x, y) in enumerate(zip(right, wrong, strict=True)):
        rows += [
            row(i=i, variant=v, group=str(i // group), mean_loss=z)
            for v, z in (("answer", 9.0), ("paraphrase", x), ("perturbed/0", y))
        ]
    return Records(rows)


def test_the_same_model_twice_gives_one(unlearned):
    m = forget_quality(unlearned, unlearned)
    assert (m.value, m.interval) == (1, (1, 1))


@pytest.mark.parametrize(("n", "floor"), [(40, 1.9e-23), (200, 1.94e-119), (400, 1.06e-239)])
def test_complete_separation_gives_the_floor_of_its_n(row, n, floor):
    x = np.linspace(0, 1, n)
    assert forget_quality(
        model(row, x, np.zeros(n)), model(row, x + 2, np.zeros(n))
    ).value == pytest.approx(floor, rel=0.03)


def test_against_scipy_on_plain_ratios(unlearned, gold):
    def ratios(records):
        wrong = records.variants("forget", "perturbed/")
        return [
            np.exp(r.loss - np.mean([w.loss for w in wrong[r.id]]))
            for r in records.of("forget", "paraphrase")
        ]

    assert forget_quality(unlearned, gold).value == pytest.approx(
        ks_2samp(ratios(unlearned), ratios(gold)).pvalue, rel=1e-12
    )


def test_epsilon_makes_a_collapsed_model_look_like_nothing(row):
    """Truth ratios like gold's at 60 nats of loss: the epsilon form sends every ratio to 0 and the
    p-value to its floor.
    """
    rng = np.random.default_rng(0)
    right, wrong = rng.normal(3, 0.5, 400), rng.normal(3, 0.5, 400)
    gold, collapsed = model(row, right, wrong), model(row, right + 60, wrong + 60)
    assert forget_quality(collapsed, gold).value == pytest.approx(1)
    assert forget_quality(collapsed, gold, epsilon=1e-10).value == pytest.approx(
        1.06e-239, rel=0.01
    )


def test_whose_rows_are_missing_is_said(unlearned):
    assert (
        forget_quality(unlearned, Records()).reason == "gold: no rows of role forget; give --forget"
    )
    assert forget_quality(Records(), unlearned).reason.startswith("this model:")


def test_interval_by_group_is_wider_when_groups_are_alike_inside(row):
    rng = np.random.default_rng(3)
    right = np.repeat(rng.normal(0, 1, 20), 10)
    other = np.repeat(rng.normal(0.3, 1, 20), 10)
    width = []
    for group in (10, 1):
        m = forget_quality(
            model(row, right, np.zeros(200), group), model(row, other, np.zeros(200), group)
        )
        width.append(np.log(m.interval[1]) - np.log(m.interval[0]))
    assert width[0] > 1.5 * width[1]


# ------------------------------------------------------------------ whole groups exchanged


def authored(rng, groups=8, rows=10, share=0.2):
    """Ratios of one model: every author has a luck of its own in it, which carries ``share`` of the
    variance.
    """
    return np.repeat(rng.normal(0, np.sqrt(share), groups), rows) + rng.normal(
        0, np.sqrt(1 - share), groups * rows
    )


LABELS = np.repeat(np.arange(8), 10).astype(str)


def test_its_level_holds_where_rows_of_an_author_are_alike():
    """400 pairs of models without a difference: the test over rows rejects a quarter of them at
    .05, that over authors a twentieth.
    """
    rng, rejected = np.random.default_rng(0), np.zeros(2)
    for _ in range(400):
        x, y = authored(rng), authored(rng)
        rejected += [ks_pvalue(x, y) < 0.05, ks_pvalue_by_groups(x, LABELS, y, LABELS)[0] < 0.05]
    by_rows, by_groups = rejected / 400
    assert by_rows > 0.13
    assert by_groups <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 400)


def test_a_difference_is_still_seen():
    rng, seen = np.random.default_rng(1), 0
    for _ in range(50):
        seen += ks_pvalue_by_groups(authored(rng), LABELS, authored(rng) + 1.5, LABELS)[0] < 0.05
    assert seen >= 45


def test_against_every_swap_by_scipy():
    rng = np.random.default_rng(2)
    labels = np.repeat(list("abcde"), [1, 2, 3, 4, 2])
    x, y = rng.normal(0, 1, 12), rng.normal(0.6, 1, 12)
    there, reached = ks_2samp(x, y).statistic, 0
    for kept in product([True, False], repeat=5):
        stays = np.repeat(kept, [1, 2, 3, 4, 2])
        reached += ks_2samp(np.where(stays, x, y), np.where(stays, y, x)).statistic >= there - 1e-12
    assert ks_pvalue_by_groups(x, labels, y, labels) == (reached / 32, 2 / 32)


def test_groups_of_two_sets_of_rows_are_dealt_out():
    """Other authors on the other side: of 20 and 20 groups without a difference p is anything, with
    one it is the least.
    """
    rng = np.random.default_rng(3)
    labels, others = (np.repeat([f"{side}{i}" for i in range(20)], 5) for side in "ab")
    x, y = rng.normal(0, 1, (2, 100))
    assert ks_pvalue_by_groups(x, labels, y, others)[0] > 0.05
    p, least = ks_pvalue_by_groups(x, labels, y + 5, others)
    assert p == least == pytest.approx(1e-4, rel=1e-3)


def test_the_metric_says_it_beside_its_value(row):
    rng = np.random.default_rng(4)
    mine, theirs = (model(row, authored(rng), np.zeros(80), 10) for _ in range(2))
    m, by_groups = forget_quality(mine, theirs), forget_quality(mine, theirs, by="groups")
    assert (
        m.parts == {"by_groups": by_groups.value, "least_by_groups": 2 / 2**8}
        and by_groups.interval is None
    )
    assert (
        "11 to 25 %" in m.note
        and f"{by_groups.value:.2g}" in m.note
        and m.as_json()["note"] == m.note
    )
    alone = (model(row, authored(rng), np.zeros(80), 1) for _ in range(2))
    assert forget_quality(*alone).note == ""  # every row a group of its own: nothing to warn of
