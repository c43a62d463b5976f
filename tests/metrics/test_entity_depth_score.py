"""The entity depth score: both ends, a number by hand, what is missing, and a real run from the
command line.
"""

import json
import math

import numpy as np
import pytest
from another import another
from commands import desk, expunge, model  # noqa: F401

from expunge.core.results import Records
from expunge.metrics.entity_depth_score import entity_depth_score


def deep(row, values):
    return Records(
        row(i=i, entity_depth=np.array(x, dtype=np.float32)) for i, x in enumerate(values)
    )


def test_the_original_is_0_and_gold_is_1_and_between_by_hand(row):
    gold = deep(row, [[0.0, 1.0, 3.0]] * 8)
    score = lambda lost: entity_depth_score(deep(row, [lost] * 8), gold).value
    assert score([0.0, 0.0, 0.0]) == 0
    assert score([0.0, 1.0, 3.0]) == score([9.0, 5.0, 7.0]) == 1
    assert score([0.0, 0.5, 1.0]) == pytest.approx((0.5 + 1) / 4)
    assert score([1.0, 0.5, 0.0]) == pytest.approx(0.5 / 4)  # the first layer tells nothing


def test_the_order_of_layers_decides_nothing_and_rows_without_an_entity_are_left_out(row):
    rng = np.random.default_rng(0)
    mine, gold = rng.normal(0.3, 0.5, (9, 4)), rng.normal(0.9, 0.3, (9, 4))
    turned = rng.permutation(4)
    value = entity_depth_score(deep(row, mine), deep(row, gold)).value
    assert entity_depth_score(
        deep(row, mine[:, turned]), deep(row, gold[:, turned])
    ).value == pytest.approx(value, abs=1e-9)
    without = entity_depth_score(deep(row, [*mine, []]), deep(row, [*gold, []]))
    assert (without.value, without.n) == (pytest.approx(value), 9)


def test_what_is_missing_is_named(row):
    mine = deep(row, [[1.0, 1.0]] * 4)
    assert (
        "--gold" in entity_depth_score(mine).reason
        and "--forget" in entity_depth_score(Records(), mine).reason
    )
    assert "--original" in entity_depth_score(Records([row()]), mine).reason
    assert (
        "mark the sensitive spans"
        in entity_depth_score(deep(row, [[]] * 4), deep(row, [[]] * 4)).reason
    )
    assert (
        "knows what is to be forgotten"
        in entity_depth_score(mine, deep(row, [[0.0, 0.04]] * 4)).reason
    )
    assert "gold has 3 blocks" in entity_depth_score(mine, deep(row, [[1.0] * 3] * 4)).reason
    assert "no finite value" in entity_depth_score(deep(row, [[math.nan, 1.0]] * 4), mine).reason


def test_from_the_command_line_the_original_is_intact_and_gold_is_gold(desk, expunge):  # noqa: F811
    """The original judged as it is, and a model that is gold but for a trace of noise."""
    # untrained weights are sure of nothing
    original = another(desk.model, desk.place / "original", by=20.0)
    gold = another(original, desk.place / "gold", by=1.0)
    like_gold = another(gold, desk.place / "like-gold", by=1e-5)
    values = {}
    for name, judged in (("intact", original), ("forgotten", like_gold)):
        words = (
            "eval",
            *desk.data("forget", "retain"),
            "--metrics",
            "entity_depth_score",
            "--model",
            judged,
            "--quiet",
        )
        assert (
            expunge(*words, "--original", original, "--gold", gold, "--out", desk.place / name)[0]
            == 0
        )
        values[name] = json.loads((desk.place / name / "measurements.json").read_text())[
            "entity_depth_score"
        ]
    assert values["intact"]["reason"] is None
    assert values["intact"]["value"] == pytest.approx(0, abs=1e-3)
    assert values["forgotten"]["value"] == pytest.approx(1, abs=1e-2)
    assert values["intact"]["margin"] is not None
