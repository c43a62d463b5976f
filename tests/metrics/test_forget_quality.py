import numpy as np
import pytest
from scipy.stats import ks_2samp

from expunge.core.records import Records
from expunge.metrics.forget_quality import forget_quality


def model(row, right, wrong, group=20):
    """Rows whose log truth ratio is right - wrong."""
    rows = []
    for i, (x, y) in enumerate(zip(right, wrong, strict=True)):
        rows += [
            row(i=i, variant=v, group=str(i // group), mean_loss=z) for v, z in (("answer", 9.0), ("paraphrase", x), ("perturbed/0", y))
        ]
    return Records(rows)


def test_the_same_model_twice_gives_one(unlearned):
    m = forget_quality(unlearned, unlearned)
    assert (m.value, m.interval) == (1, (1, 1))


@pytest.mark.parametrize(("n", "floor"), [(40, 1.9e-23), (200, 1.94e-119), (400, 1.06e-239)])
def test_complete_separation_gives_the_floor_of_its_n(row, n, floor):
    x = np.linspace(0, 1, n)
    assert forget_quality(model(row, x, np.zeros(n)), model(row, x + 2, np.zeros(n))).value == pytest.approx(floor, rel=0.03)


def test_against_scipy_on_plain_ratios(unlearned, gold):
    def ratios(records):
        wrong = records.variants("forget", "perturbed/")
        return [np.exp(r.loss - np.mean([w.loss for w in wrong[r.id]])) for r in records.of("forget", "paraphrase")]

    assert forget_quality(unlearned, gold).value == pytest.approx(ks_2samp(ratios(unlearned), ratios(gold)).pvalue, rel=1e-12)


def test_epsilon_makes_a_collapsed_model_look_like_nothing(row):
    """Truth ratios like gold's at 60 nats of loss: the epsilon form sends every ratio to 0 and the p-value to its floor."""
    rng = np.random.default_rng(0)
    right, wrong = rng.normal(3, 0.5, 400), rng.normal(3, 0.5, 400)
    gold, collapsed = model(row, right, wrong), model(row, right + 60, wrong + 60)
    assert forget_quality(collapsed, gold).value == pytest.approx(1)
    assert forget_quality(collapsed, gold, epsilon=1e-10).value == pytest.approx(1.06e-239, rel=0.01)


def test_whose_rows_are_missing_is_said(unlearned):
    assert forget_quality(unlearned, Records()).reason == "gold: no rows of role forget; give --forget"
    assert forget_quality(Records(), unlearned).reason.startswith("this model:")


def test_interval_by_group_is_wider_when_groups_are_alike_inside(row):
    rng = np.random.default_rng(3)
    right = np.repeat(rng.normal(0, 1, 20), 10)
    other = np.repeat(rng.normal(0.3, 1, 20), 10)
    width = []
    for group in (10, 1):
        m = forget_quality(model(row, right, np.zeros(200), group), model(row, other, np.zeros(200), group))
        width.append(np.log(m.interval[1]) - np.log(m.interval[0]))
    assert width[0] > 1.5 * width[1]
