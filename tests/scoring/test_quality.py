"""Quality: the one number that every ranking goes by, worked by hand."""

import pytest

from expunge.scoring.quality import closeness, kept, quality, resistance


def test_closeness_counts_both_sides_of_gold():
    assert closeness(0.1, 0.9, 0.1) == 1.0
    assert closeness(0.3, 0.9, 0.1) == pytest.approx(0.75)
    assert closeness(0.0, 0.9, 0.2) == pytest.approx(1 - 0.2 / 0.7)
    assert closeness(0.9, 0.9, 0.1) == 0.0
    assert closeness(0.5, 0.3, 0.3) is None


def test_kept_is_a_share_of_the_original():
    assert kept(0.45, 0.9) == pytest.approx(0.5)
    assert kept(0.95, 0.9) == 1.0
    assert kept(0.5, 0.0) is None


def test_what_gold_relearns_too_is_no_leak():
    assert resistance(0.2, 0.9, 0.2) == 1.0
    assert resistance(0.1, 0.9, 0.2) == 1.0
    assert resistance(0.55, 0.9, 0.2) == pytest.approx(0.5)
    assert resistance(0.95, 0.9, 0.2) == 0.0
    assert resistance(0.5, 0.2, 0.3) is None, (
        "an attack that brings gold further than the original shows nothing"
    )


def test_quality_is_as_low_as_its_worst_part():
    assert quality({"a": 1.0, "b": 0.5}) == pytest.approx(2 / 3)
    assert quality({"a": 1.0, "b": 0.0}) == 0.0
    assert quality({"a": 1.0, "b": None}) is None
    assert quality({"a": 1.0, "b": float("nan")}) is None
    assert quality({}) is None
