# ruff: noqa: F401, F811 (fixtures are imported by name)
"""What a bench shows: order, front, quality, spread."""

import numpy as np
import pytest
from commands import expunge
from small import rows
from sweep_cells import made

from expunge.experiments.sweep.gather import quality_of, spread, summary
from expunge.experiments.sweep.hardness import garbled
from expunge.experiments.sweep.plot import strips, tradeoff
from expunge.experiments.sweep.table import front, ordered, page, ranged


def test_every_method_is_in_table_and_drawings():
    found = made(45)
    text, drawn, lines = page(found), str(tradeoff(found)), str(strips(found))
    for i in range(45):
        assert (
            f"method_number_{i}" in text
            and f"method_number_{i}<" in drawn
            and f"method_number_{i}<" in lines
        )
    assert "original" in drawn and "gold" in drawn and "http" not in drawn


def test_the_order_and_the_front():
    found = made(3)
    rows = found["methods"]
    for name, f, r, q in (
        ("method_number_0", 0.0, 0.9, 0.4),
        ("method_number_1", 0.08, 0.95, 0.2),
        ("method_number_2", 0.5, 0.5, 0.3),
    ):
        rows[name]["at_settings"]["forget/probability"] = spread([f])
        rows[name]["at_settings"]["retain/probability"] = spread([r])
        rows[name]["at_settings"]["quality"] = spread([q])
    assert [name[-1] for name, _ in ordered(found)] == ["0", "2", "1"]
    assert front(found) == {"method_number_1"}  # .10 below gold is farther from it than .02 below


def test_without_a_gold_nothing_is_ranked_by_quality():
    found = made(3)
    del found["gold"]
    rows = found["methods"]
    for i, left in enumerate((0.4, 0.2, 0.3)):
        rows[f"method_number_{i}"]["at_settings"]["quality"] = spread([None])
        rows[f"method_number_{i}"]["at_settings"]["at_level"]["forget/probability"] = spread([left])
    assert [name[-1] for name, _ in ordered(found)] == ["1", "2", "0"]
    assert "**quality** needs a gold" in page(found)
    assert "**quality** needs a gold" not in page(made(3))


def test_quality_punishes_overshoot_hiding_and_damage():
    """Three models with the same forget probability after relearning or before it, and one like
    gold.
    """
    end = lambda f, r, n, after: {
        "values": {
            f"{k}/probability": {"value": v}
            for k, v in (("forget", f), ("retain", r), ("neighbour", n))
        },
        "relearned": after,
    }
    ends = {"original": end(0.9, 0.9, 0.9, 0.9), "gold": end(0.1, 1.0, 1.0, 0.2)}
    of = lambda *found: quality_of(end(*found), ends)
    like_gold, overshot, hidden, damaged = (
        of(0.1, 0.9, 0.9, 0.2),
        of(0.0, 0.9, 0.9, 0.2),
        of(0.1, 0.9, 0.9, 0.9),
        of(0.1, 0.45, 0.9, 0.2),
    )
    assert like_gold["quality"] == 1.0
    assert overshot["closeness"] == pytest.approx(1 - 0.1 / 0.8) and overshot[
        "quality"
    ] == pytest.approx(4 / (3 + 8 / 7))
    assert hidden["resistance"] == 0.0 and hidden["quality"] == 0.0
    assert damaged["retain"] == pytest.approx(0.5) and damaged["quality"] == pytest.approx(4 / 5)
    assert set(quality_of(end(0.1, 0.9, 0.9, 0.2), {**ends, "gold": None}).values()) == {None}
    assert of(None, 0.9, 0.9, 0.2)["quality"] is None  # a missing part is not taken for a good one


def test_garbled_answers_are_stranger_than_gold_ever_is():
    gold = np.linspace(0.0, 2.0, 101)
    assert garbled(gold, gold) == pytest.approx(0.01, abs=0.01)
    assert garbled(np.array([0.0, 1.0, 5.0, np.inf]), gold) == 0.5
    assert garbled(np.array([]), gold) is None


def test_few_groups_are_told_beside_the_interval_of_a_single_seed():
    few = {"value": 0.5, "interval": [0.1, 0.9], "warning": "too few groups"}
    one = summary([{"values": {"forget/probability": few}}])["forget/probability"]
    assert ranged(one) == ".50 [.10 .90], too few groups"
    two = summary([{"values": {"forget/probability": few}}] * 2)["forget/probability"]
    assert ranged(two) == ".50 [.50 .50]", "the range over seeds is no interval over groups"


def test_spread_of_seeds_and_of_one():
    assert spread([0.1, 0.3])["mean"] == pytest.approx(0.2) and spread([0.1, 0.3])["low"] == 0.1
    assert spread([0.2])["low"] is None, "one number says nothing of its spread"
    assert spread([0.2], [[0.1, 0.3]])["high"] == 0.3 and spread([None])["mean"] is None
