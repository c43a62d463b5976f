"""The membership scores: orientation, oracles, and what separates them."""

import math
import zlib
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from expunge.core.results import Records
from expunge.metrics.mia_loss import mia_loss
from expunge.metrics.mia_min_k import mia_min_k
from expunge.metrics.mia_min_k_plus_plus import mia_min_k_plus_plus
from expunge.metrics.mia_reference import mia_reference
from expunge.metrics.mia_zlib import mia_zlib
from expunge.metrics.privleak import privleak


def library_auc(records, score):
    rows = records.of("forget") + records.of("holdout")
    return roc_auc_score([r.role == "forget" for r in rows], [score(r) for r in rows])


def lowest(x, k):
    x = sorted(x)
    return sum(x[: max(1, int(k * len(x)))]) / max(1, int(k * len(x)))


def normalized(r):
    return [
        (x - m) / math.sqrt(max(v, 1e-6))
        for x, m, v in zip(r.logp, r.mean_logp, r.var_logp, strict=True)
    ][:-1]


ORACLES = {
    "loss": (mia_loss, lambda r: -r.loss),
    "zlib": (
        mia_zlib,
        lambda r: np.mean(r.logp, dtype=float) / len(zlib.compress(r.answer.encode())),
    ),
    "zlib total": (
        lambda r: mia_zlib(r, loss="total"),
        lambda r: np.sum(r.logp, dtype=float) / len(zlib.compress(r.answer.encode())),
    ),
    "min k": (mia_min_k, lambda r: lowest([float(x) for x in r.logp[:-1]], 0.4)),
    "min k .2 eos": (
        lambda r: mia_min_k(r, k=0.2, eos=True),
        lambda r: lowest([float(x) for x in r.logp], 0.2),
    ),
    "min k++": (mia_min_k_plus_plus, lambda r: lowest(normalized(r), 0.4)),
}


@pytest.mark.parametrize("name", ORACLES)
def test_against_a_loop_and_scikit_learn(name, unlearned):
    metric, score = ORACLES[name]
    assert metric(unlearned).value == pytest.approx(library_auc(unlearned, score), abs=1e-12)


@pytest.mark.parametrize("name", ORACLES)
def test_a_memorized_forget_set_gives_one_and_an_unlikely_one_zero(name, row):
    def made(forget, holdout):
        same = dict(mean_logp=[-5.0] * 4, var_logp=[1.0] * 4, zlib=30, eos=True)
        sides = (("forget", forget), ("holdout", holdout))
        return Records(
            row(role, i, logp=[x - i / 100] * 4, **same) for role, x in sides for i in range(6)
        )

    metric = ORACLES[name][0]
    assert metric(made(-0.01, -4.0)).value == 1
    assert metric(made(-9.0, -4.0)).value == 0
    assert metric(made(-4.0, -4.0)).value == 0.5


def test_scores_that_a_log_gives_are_taken(row):
    rows = Records(
        row(role, i, given={"mia_min_k": x})
        for role, x in (("forget", -1.0), ("holdout", -2.0))
        for i in range(3)
    )
    assert mia_min_k(rows).value == 1


def test_min_k_takes_one_token_at_least(row):
    rows = Records([row(logp=[-1.0, -3.0]), row("holdout", logp=[-2.0, -2.0])])  # int(.4 * 2) = 0
    assert mia_min_k(rows).value == 0


def test_variance_is_kept_off_zero(row):
    flat = dict(mean_logp=[0.0], var_logp=[0.0])
    rows = Records([row(logp=[-1e-3], **flat), row("holdout", logp=[-1.0], **flat)])
    assert mia_min_k_plus_plus(rows).value == 1


def test_zlib_without_compressed_sizes_is_said(unlearned):
    assert "hold no zlib" in mia_zlib(Records(replace(r, zlib=0) for r in unlearned)).reason
    assert mia_zlib(unlearned, loss="sum").value is None


def test_reference_is_loss_against_gold(unlearned, gold):
    theirs = {(r.role, r.id): r.loss for r in gold.of("forget") + gold.of("holdout")}
    expected = library_auc(unlearned, lambda r: round(theirs[r.role, r.id] - r.loss, 4))
    assert mia_reference(unlearned, gold).value == pytest.approx(expected, abs=1e-12)
    assert mia_reference(gold, gold).value == 0.5


def test_reference_needs_the_same_rows(unlearned, gold):
    short = Records(r for r in gold if r.id != "3")
    assert (
        mia_reference(unlearned, short).reason == "gold: no record of 1 of 24 rows of role forget"
    )


# ------------------------------------------------------------------ privleak


def losses(row, forget, holdout):
    sides = (("forget", forget), ("holdout", holdout))
    return Records(
        row(role, i, logp=[-float(x)] * 2) for role, side in sides for i, x in enumerate(side)
    )


def test_privleak_at_its_ends(row):
    unseen = losses(row, range(8), range(8))
    assert privleak(losses(row, [-9] * 8, range(8)), unseen).value == -100  # every forget row told
    # gold's AUC is .5
    assert privleak(losses(row, [99] * 8, range(8)), unseen).value == pytest.approx(100)
    assert privleak(unseen, unseen).value == 0


def test_privleak_in_both_orientations(unlearned, gold):
    mine, golds = mia_min_k(unlearned).value, mia_min_k(gold).value
    m = privleak(unlearned, gold)
    assert m.value == pytest.approx(((1 - mine) - (1 - golds)) / (1 - golds) * 100, rel=1e-12)
    assert (m.n, m.groups, m.better) == (48, 12, 0.0)


def test_privleak_of_gold_itself_has_no_width(gold):
    # drawn together, so that the same model differs from itself in no draw
    m = privleak(gold, gold)
    assert (m.value, m.interval) == (0, (0, 0))


def test_privleak_with_a_published_auc(unlearned):
    a = 1 - mia_min_k(unlearned).value
    assert privleak(unlearned, gold_auc=0.5).value == pytest.approx((a - 0.5) / 0.5 * 100)


def test_privleak_says_whose_rows_are_missing(unlearned, gold):
    assert (
        privleak(unlearned, Records(r for r in gold if r.role == "forget")).reason
        == "gold: no rows of role holdout; give --holdout"
    )


def test_a_gold_auc_of_zero_gives_no_number(row):
    memorized = losses(row, [0] * 4, [9] * 4)
    assert "gold's AUC is 0" in privleak(memorized, memorized).reason
