import itertools

import pytest

from expunge.core.records import Records
from expunge.metrics.extraction_strength import extraction_strength


def one(row, hit, eos=False, **kw):
    return extraction_strength(Records([row(hit=[h == "1" for h in hit], eos=eos)]), "forget", **kw).value


@pytest.mark.parametrize(("hit", "value"), [("1111", 1), ("0001", 0.25), ("0000", 0), ("1110", 0), ("1011", 0.5)])
def test_by_hand(row, hit, value):
    assert one(row, hit) == value


def test_against_brute_force_on_every_pattern(row):
    for hit in itertools.product("01", repeat=6):
        k = next(k for k in range(7) if "0" not in hit[k:])  # the shortest prefix after which all is hit
        assert one(row, hit) == pytest.approx(1 - k / 6)


def test_floor_is_the_peers_fault(row):
    assert one(row, "0000", floor=True) == one(row, "0001", floor=True) == 0.25
    assert one(row, "0011", floor=True) == 0.5


def test_eos_is_dropped_only_if_it_is_one(row):
    assert one(row, "0110", eos=True) == pytest.approx(2 / 3)
    assert one(row, "0110", eos=True) != one(row, "0110", eos=False) == 0
    assert one(row, "0001", eos=True) == 0
    assert one(row, "0001", eos=True, **{"floor": True}) == pytest.approx(1 / 3)


def test_eos_can_be_counted(row):
    rows = Records([row(hit=[False, False, True, True], eos=True)])
    assert extraction_strength(rows, "forget").value == pytest.approx(1 / 3)
    assert extraction_strength(rows, "forget", eos=True).value == 0.5


def test_an_answer_of_eos_alone_keeps_it(row):
    assert one(row, "1", eos=True) == 1
