"""sMIA: the distance of two AUCs over the greatest that there could be, whichever side is called
positive.
"""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from expunge import registry
from expunge.core.results import Records
from expunge.metrics.smia import smia
from expunge.scoring.per_row import min_k_of


def with_wins(row, wins):
    """Ten holdout rows of losses 0.5 ..

    9.5 and forget rows likelier than ``wins`` of them each: an AUC of sum(wins) / 100.
    """
    made = [row("holdout", i, logp=[-(i + 0.5)]) for i in range(10)]
    return Records([*made, *(row("forget", i, logp=[-(10.0 - w)]) for i, w in enumerate(wins))])


GOLD, MODEL = [4] * 9 + [3], [7] * 10  # .39 and .70


def test_the_worked_pair(row):
    """Gold .39, a model at .70: 1 - .31/.61 = .4918; over gold's AUC itself it would be 1 - .31/.39
    = .2051.
    """
    assert smia(with_wins(row, MODEL), with_wins(row, GOLD)).value == pytest.approx(1 - 0.31 / 0.61)


@pytest.mark.parametrize("name", ["smia", "privleak", "mia_reference", "mia_lira"])
def test_all_that_is_missing_is_named_at_once(row, name):
    """Before: --gold first and, once it was given, --holdout."""
    metric = getattr(registry.load("metrics", name), name)
    whole = with_wins(row, MODEL)
    alone = Records(whole.of("forget"))
    assert (
        metric(alone).reason.endswith(" and --holdout (no rows of role holdout)")
        and "give --gold" in metric(alone).reason
    )
    assert "--gold" in metric(whole).reason and "--holdout" not in metric(whole).reason


def test_the_side_that_is_called_positive_does_not_matter(row):
    """The mirror image (.61 and .30) has the same distance from gold."""
    mirrored = [[10 - w for w in wins] for wins in (MODEL, GOLD)]
    assert smia(*(with_wins(row, w) for w in mirrored)).value == pytest.approx(1 - 0.31 / 0.61)


def test_ends(row):
    gold = with_wins(row, GOLD)
    assert smia(gold, gold).value == 1 and smia(gold, gold).interval == (1, 1)
    assert smia(with_wins(row, [10] * 10), gold).value == 0  # as far as an AUC can be from .39
    assert smia(with_wins(row, [0] * 10), gold).value == pytest.approx(1 - 0.39 / 0.61)
    # a gold at 0 has a score, too
    assert smia(gold, with_wins(row, [0] * 10)).value == pytest.approx(1 - 0.39)


def test_against_scikit_learn(unlearned, gold):
    areas = []
    for records in (unlearned, gold):
        rows = records.of("forget") + records.of("holdout")
        areas.append(
            roc_auc_score(
                [r.role == "forget" for r in rows], [min_k_of(r, 0.4, False) for r in rows]
            )
        )
    model, base = areas
    m = smia(unlearned, gold)
    assert m.value == pytest.approx(1 - abs(model - base) / max(base, 1 - base), abs=1e-12)
    assert m.interval[0] <= m.value <= m.interval[1] and m.interval[0] >= 0 and m.interval[1] <= 1
    assert "--gold" in smia(unlearned).reason and np.isfinite(m.value)
