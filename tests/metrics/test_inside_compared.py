"""What compares hidden states (Unlearning Depth Score, CKA, linear probe): both ends, other
libraries, real models.
"""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize
from zoo import FORGET, hidden, trained

from expunge.core.results import Record, Records
from expunge.evaluation.observations.activation_patching import depth
from expunge.evaluation.observations.hidden_states import prompt_end, states
from expunge.metrics.cka import cka
from expunge.metrics.linear_probe import linear_probe
from expunge.metrics.unlearning_depth_score import unlearning_depth_score
from expunge.scoring.probe import probed
from expunge.scoring.representation import layer_of, linear_cka


def deep(row, values, **known):
    return Records(
        row(i=i, depth=np.array(d, dtype=np.float32), **known) for i, d in enumerate(values)
    )


# ------------------------------------------------------------------ Unlearning Depth Score


def test_score_at_its_ends_and_between(row):
    gold = deep(row, [[0.0, 1.0, 3.0]] * 8)
    score = lambda u: unlearning_depth_score(deep(row, [u] * 8), gold)
    assert score([0.0, 0.0, 0.0]).value == 0
    assert score([0.0, 1.0, 3.0]).value == 1
    # more than gold is no more than 1; the first layer tells nothing
    assert score([9.0, 5.0, 7.0]).value == 1
    assert score([0.0, -2.0, -1.0]).value == 0
    assert score([0.0, 1.0, 0.0]).value == pytest.approx(1 / 4)  # weighted by what gold lacks
    assert score([0.0, 0.5, 1.5]).value == pytest.approx(0.5)
    m = score([0.0, 0.5, 1.5])
    assert (m.n, m.groups, m.better) == (8, 2, 1.0)


def test_against_a_loop_and_whatever_the_order_of_layers(row):
    rng = np.random.default_rng(0)
    u, g = rng.normal(0.3, 0.5, (20, 5)), rng.normal(0.5, 0.6, (20, 5))
    expected = []
    for a, b in zip(u, g):
        known = [(x, y) for x, y in zip(a, b) if y > 0.05]
        if known:
            expected.append(
                sum(y * min(max(x / y, 0), 1) for x, y in known) / sum(y for _, y in known)
            )
    m = unlearning_depth_score(deep(row, u), deep(row, g))
    assert m.value == pytest.approx(np.mean(expected), abs=1e-6)
    assert m.n == len(expected)
    turned = rng.permutation(5)
    assert unlearning_depth_score(
        deep(row, u[:, turned]), deep(row, g[:, turned])
    ).value == pytest.approx(m.value, abs=1e-9)
    assert m.interval[0] < m.value < m.interval[1]


def test_what_is_missing_is_named(row):
    mine = deep(row, [[1.0, 1.0]] * 4)
    assert "--gold" in unlearning_depth_score(mine).reason
    assert "--original" in unlearning_depth_score(Records([row()]), mine).reason
    assert "--forget" in unlearning_depth_score(Records(), mine).reason
    assert (
        "knows what is to be forgotten"
        in unlearning_depth_score(mine, deep(row, [[0.0, 0.04]] * 4)).reason
    )
    assert (
        unlearning_depth_score(mine, deep(row, [[1.0, 1.0]] * 3)).reason
        == "gold: no record of 1 of 4 rows of role forget"
    )
    assert "gold has 3 blocks" in unlearning_depth_score(mine, deep(row, [[1.0] * 3] * 4)).reason
    assert (
        "no finite value" in unlearning_depth_score(deep(row, [[math.nan, 1.0]] * 4), mine).reason
    )
    assert (
        "no finite value" in unlearning_depth_score(mine, deep(row, [[math.nan, 1.0]] * 4)).reason
    )


def records_of(subject, **passes):
    found = {name: made(subject) for name, made in passes.items()}
    return Records(
        Record("m", "forget", r.id, r.group, "answer", observed={n: x[i] for n, x in found.items()})
        for i, r in enumerate(FORGET)
    )


def deep_of(subject):
    return records_of(subject, depth=lambda s: depth(s, trained("original"), FORGET))


@pytest.mark.slow
def test_of_models_the_original_has_none_gold_has_all_and_a_small_change_little():
    gold = deep_of(trained("gold"))
    score = lambda subject: unlearning_depth_score(deep_of(subject), gold)
    assert score(trained("original")).value == pytest.approx(0, abs=1e-4)
    assert score(trained("gold")).value == 1
    assert score(trained("gold")).n == len(FORGET)
    misdirected = score(hidden("misdirected_states")[1]).value
    assert 0.05 < misdirected < 1  # behavior as gone as gold's, but the blocks below hold it


# ------------------------------------------------------------------ CKA


def stated(row, x, **known):
    """x [layers, n, D]."""
    return Records(
        row(i=i, states=np.concatenate([layer[i] for layer in x]), **known)
        for i in range(len(x[0]))
    )


@pytest.fixture(scope="module")
def clouds():
    return np.random.default_rng(0).normal(size=(4, 40, 6)) * [3, 1, 1, 1, 0.5, 0.2]


def by_hand(x, y):
    """Kornblith et al., equations 2 and 3: HSIC of the two linear kernels."""
    h = np.eye(len(x)) - 1 / len(x)
    hsic = lambda k, other: np.trace(k @ h @ other @ h) / (len(x) - 1) ** 2
    k, other = x @ x.T, y @ y.T
    return hsic(k, other) / math.sqrt(hsic(k, k) * hsic(other, other))


def test_cka_is_the_papers(clouds):
    other = clouds[0] @ np.random.default_rng(1).normal(size=(6, 9))
    assert linear_cka(clouds[0], other) == pytest.approx(by_hand(clouds[0], other), abs=1e-12)
    x, y = (z - z.mean(0) for z in (clouds[0], clouds[1]))
    form = np.linalg.norm(x.T @ y) ** 2 / (np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y))
    assert linear_cka(clouds[0], clouds[1]) == pytest.approx(form, abs=1e-12)
    assert linear_cka(clouds[0], 0 * clouds[0]) != linear_cka(clouds[0], 0 * clouds[0])  # NaN


def test_rotation_scale_and_shift_do_not_matter_but_the_shift_is_told(row, clouds):
    turn, _ = np.linalg.qr(np.random.default_rng(2).normal(size=(6, 6)))
    gold = stated(row, clouds)
    m = cka(gold, gold)
    assert m.value == pytest.approx(1)
    assert m.interval == pytest.approx((1, 1))
    assert (m.n, m.groups, m.better) == (40, 10, 1.0)
    assert [m.parts[f"shift/{f}"] for f in (0.25, 0.5, 0.75, 1.0)] == pytest.approx([0] * 4)
    assert cka(stated(row, 2 * clouds @ turn), gold).value == pytest.approx(1)
    far = cka(stated(row, clouds + 5), gold)
    assert far.value == pytest.approx(1)
    spread = math.sqrt(((clouds[0] - clouds[0].mean(0)) ** 2).sum(1).mean())
    assert far.parts["shift/0.25"] == pytest.approx(5 * math.sqrt(6) / spread)


def test_unrelated_states_are_not_alike(row, clouds):
    other = np.random.default_rng(3).normal(size=clouds.shape)
    m = cka(stated(row, other), stated(row, clouds))
    assert m.value < 0.35
    assert m.value == pytest.approx(np.mean([by_hand(a, b) for a, b in zip(other, clouds)]))
    assert m.interval[0] <= m.value < m.interval[1]


def test_cka_says_what_is_missing(row, clouds):
    mine = stated(row, clouds)
    assert "--gold" in cka(mine).reason
    assert "--forget" in cka(Records(), mine).reason
    assert "hold no states" in cka(Records([row()]), mine).reason
    assert "do not differ" in cka(stated(row, 0 * clouds), mine).reason
    assert cka(stated(row, clouds * math.nan), mine).reason.endswith("no finite value")
    assert cka(mine, stated(row, clouds * math.nan)).reason.startswith("gold: ")
    assert cka(Records(replace(r, group="one") for r in mine), mine).interval is None


@pytest.mark.slow
def test_of_models_whoever_changed_more_is_less_like_gold():
    of = lambda s: records_of(s, states=lambda s: states(s, FORGET, (0, 1, 2), prompt_end))
    original, ask = of(trained("original")), dict(layers=(0, 1, 2), draws=10)
    assert cka(of(trained("gold")), of(trained("gold")), **ask).value == pytest.approx(1)
    steered = cka(of(hidden("misdirected_states")[1]), original, **ask)
    assert steered.value < cka(original, original, **ask).value == pytest.approx(1)
    assert steered.parts["shift/1"] > 2 * steered.parts["shift/0"]  # it was steered at block 1


# ------------------------------------------------------------------ linear probe


def test_the_probe_minimizes_the_penalized_loss_that_it_names():
    """Against the loss written out and minimized by scipy, on standardized rows."""
    rng = np.random.default_rng(0)
    x = rng.normal(2.0, 3.0, size=(60, 5))
    y = x[:, 0] + rng.normal(size=60) > 3.0
    train = np.arange(60) < 40
    z = (x - x[train].mean(0)) / x[train].std(0)
    sign = np.where(y[train], 1.0, -1.0)
    balance = 40 / (2 * np.where(y[train], y[train].sum(), (~y[train]).sum()))

    def loss(v):
        margins = sign * (z[train] @ v[:-1] + v[-1])
        return v[:-1] @ v[:-1] / 2 + 0.5 * balance @ np.logaddexp(0, -margins)

    best = minimize(loss, np.zeros(6), method="BFGS", options={"gtol": 1e-7}).x
    expected = z @ best[:-1] + best[-1]
    np.testing.assert_allclose(probed(x, y, train, 0.5), expected, atol=1e-4)


def test_the_probe_ignores_a_feature_that_never_varies():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 3))
    y, train = x[:, 0] > 0, np.arange(40) < 30
    constant = np.full((40, 1), 7.0)
    more = probed(np.hstack([x, constant]), y, train)
    np.testing.assert_allclose(more, probed(x, y, train), atol=1e-5)


def answered(row, signal, n=40, wrong=3, width=8, seed=0):
    """Rows whose right answer's state is moved by ``signal`` along a direction of its own, among
    other features.
    """
    rng = np.random.default_rng(seed)
    along = np.linalg.qr(rng.normal(size=(width, width)))[0][0]  # rotated: no single number says it
    rows = []
    for i in range(n):
        # what all answers of a row share
        x = rng.normal(size=(1 + wrong, width)) + 5 * rng.normal(size=width)
        x[0] += signal * along
        rows += [
            row(i=i, choice_states=x.reshape(-1)),
            *(row(i=i, variant=f"perturbed/{j}") for j in range(wrong)),
        ]
    return Records(rows)


def test_a_planted_direction_is_found_and_none_is_chance(row):
    m = linear_probe(answered(row, 40.0), "forget")
    assert m.value > 0.99
    assert (m.n, m.groups, m.better) == (40, 10, "gold")
    assert abs(m.parts["control"] - 0.5) < 0.2
    assert m.parts["selectivity"] == pytest.approx(m.value - m.parts["control"])
    none = [linear_probe(answered(row, 0.0, seed=s), "forget").value for s in range(8)]
    assert abs(np.mean(none) - 0.5) < 0.06


def test_groups_are_not_split(row):
    """Each group has a direction of its own: who learned from half of it would know the rest."""
    rng = np.random.default_rng(0)
    own = 30 * rng.normal(size=(10, 64))
    rows = []
    for i in range(40):
        x = rng.normal(size=(4, 64))
        x[0] += own[i // 4]
        rows += [
            row(i=i, choice_states=x.reshape(-1)),
            *(row(i=i, variant=f"perturbed/{j}") for j in range(3)),
        ]
    rows = Records(rows)
    apart = Records(replace(r, group=r.id) for r in rows)
    mean = lambda some: np.mean([linear_probe(some, "forget", seed=s).value for s in range(5)])
    assert mean(apart) > 0.9 and mean(rows) < 0.8


def test_probe_says_what_is_missing(row):
    assert "--forget" in linear_probe(Records(), "forget").reason
    assert "hold no choice_states" in linear_probe(Records([row()]), "forget").reason
    good = answered(row, 1.0)
    assert (
        "have no wrong answers"
        in linear_probe(Records(r for r in good if r.variant == "answer"), "forget").reason
    )
    assert (
        "a single group"
        in linear_probe(Records(replace(r, group="one") for r in good), "forget").reason
    )
    assert (
        "no finite value"
        in linear_probe(
            Records(
                replace(r, observed={n: x * math.nan for n, x in r.observed.items()}) for r in good
            ),
            "forget",
        ).reason
    )
    salted = Records(
        replace(r, id=f"{hash((r.id, 1))}", group=f"{hash((r.group, 1))}") for r in good
    )
    # what stands for a name decides nothing
    assert linear_probe(salted, "forget") == linear_probe(good, "forget")
    assert (
        linear_probe(good, "forget", seed=3).parts["control"]
        != linear_probe(good, "forget").parts["control"]
    )


def test_layers_by_name():
    assert [layer_of(w, 16) for w in (0.0, 0.5, 1.0, 1, -1, 15)] == [0, 8, 15, 1, 15, 15]
    for wrong in (16, -17, 1.5):
        with pytest.raises(ValueError, match="of a model of 16 blocks"):
            layer_of(wrong, 16)
