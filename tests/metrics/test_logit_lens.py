"""Logit lens and probability delta: both ends, loops over the records, budgets, and a model that
learned against one that did not.
"""

import math

import numpy as np
import pytest
from zoo import CHANCE, FORGET, known, small_subject, trained

from expunge.core.results import Records
from expunge.evaluation.observations.logit_lens import lens
from expunge.metrics.logit_lens import logit_lens
from expunge.metrics.probability_delta import probability_delta

MAX = np.iinfo(np.int32).max


def lensed(row, p, **known):
    """A row whose layers give its answer these probabilities."""
    return row(lens=np.log(np.array(p)), **known)


def test_known_by_heart_in_one_layer_and_nowhere(row):
    rows = Records(lensed(row, [0.01, 1.0, 0.01], i=i) for i in range(8))
    m = logit_lens(rows, "forget")
    assert (m.value, m.n, m.groups, m.better) == (pytest.approx(1), 8, 2, "gold")
    # two groups alike: one in two more could be otherwise
    assert m.interval == pytest.approx((0.05**0.5, 1), abs=1e-6)
    assert m.parts == pytest.approx({"layer/0": 0.01, "layer/1": 1, "layer/2": 0.01})
    assert logit_lens(rows, "forget", layers=(1.0,)).value == pytest.approx(0.01)
    assert logit_lens(rows, "forget", layers=(0, 2)).parts == pytest.approx(
        {"layer/0": 0.01, "layer/2": 0.01}
    )


def test_mean_of_each_rows_best_layer(row):
    rng = np.random.default_rng(0)
    p = rng.uniform(0.01, 0.9, (12, 5))
    m = logit_lens(Records(lensed(row, x, i=i) for i, x in enumerate(p)), "forget")
    assert m.value == pytest.approx(sum(max(x) for x in p) / 12)
    assert m.parts["layer/3"] == pytest.approx(p[:, 3].mean())
    assert m.interval[0] < m.value < m.interval[1]


def test_rows_without_it_are_said(row):
    assert logit_lens(Records(), "forget").reason == "no rows of role forget; give --forget"
    assert "hold no lens" in logit_lens(Records([row()]), "forget").reason
    assert "hold no lens_rank" in probability_delta(Records([row()]), "forget").reason
    assert "no finite value" in logit_lens(Records([lensed(row, [math.nan])]), "forget").reason
    assert logit_lens(Records([lensed(row, [0.5], role="retain")]), "retain").better == "higher"
    with pytest.raises(ValueError, match="of a model of 3 blocks"):
        logit_lens(Records([lensed(row, [0.1, 0.1, 0.1])]), "forget", layers=(7,))


def ranked(row, ranks, **known):
    return row(lens_rank=np.array(ranks, dtype=np.int32).reshape(-1), **known)


def test_a_secret_within_a_budget(row):
    # above and below in probability, above and below in change; two layers of 100 tokens
    at = [[9, 2], [90, 97], [MAX, 60], [MAX, 3]]
    rows = Records(ranked(row, at, i=i) for i in range(4))
    ask = lambda **kw: probability_delta(rows, "forget", **kw)
    assert [ask(attack="head", k=k).value for k in (2, 3)] == [0, 1]  # rank 2 is the third
    assert [ask(k=k).value for k in (3, 4)] == [0, 1]  # the loser of the change counts as well
    assert ask(attack="head", k=3, layers=(0,)).value == 0
    assert ask(attack="head", k=3).parts == {"budget": 12}
    assert ask(k=3).parts == {"budget": 6}  # the first block has none below


@pytest.fixture(scope="module")
def read():
    """Records of the forget rows of a model that learned them and of one that did not (random
    weights).
    """
    from expunge.core.results import Record

    made = lambda subject: Records(
        Record("m", "forget", r.id, r.group, "answer", observed=x)
        for r, x in zip(FORGET, lens(subject, FORGET), strict=True)
    )
    return (
        made(trained("original")),
        made(small_subject(5, vocab=64, width=64)),
        made(trained("gold")),
    )


@pytest.mark.slow
def test_whoever_learned_says_it_and_gold_does_not(read):
    original, blank, gold = (logit_lens(r, "forget") for r in read)
    assert original.parts["layer/2"] == pytest.approx(known(trained("original"), FORGET), abs=1e-3)
    assert original.value > 0.9
    assert blank.value < 4 * CHANCE
    assert gold.value < 0.2
    assert original.value + 1e-9 >= original.parts["layer/2"] > original.parts["layer/0"]


@pytest.mark.slow
@pytest.mark.parametrize("attack", ["head", "delta"])
def test_candidates_grow_with_the_budget_up_to_all(read, attack):
    for records in read:
        found = [
            probability_delta(records, "forget", attack=attack, k=k).value
            for k in (1, 2, 4, 8, 16, 32)
        ]
        assert found == sorted(found)
        assert found[-1] == 1  # 32 from above and 32 from below are all 64 tokens
    original, blank, gold = (
        probability_delta(r, "forget", attack=attack, k=1, layers=(2,)).value for r in read
    )
    assert original > 0.8
    assert max(blank, gold) < 0.3
