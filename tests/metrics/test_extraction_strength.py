import itertools

import pytest

from expunge.core.results import Records
from expunge.metrics.extraction_strength import extraction_strength


def one(row, hit, eos=False, **kw):
    return extraction_strength(
        Records([row(hit=[h == "1" for h in hit], eos=eos)]), "forget", **kw
    ).value


@pytest.mark.parametrize(
    ("hit", "value"), [("1111", 1), ("0001", 0.25), ("0000", 0), ("1110", 0), ("1011", 0.5)]
)
def test_by_hand(row, hit, value):
    assert one(row, hit) == value


def test_against_brute_force_on_every_pattern(row):
    for hit in itertools.product("01", repeat=6):
        # the shortest prefix after which all is hit
        k = next(k for k in range(7) if "0" not in hit[k:])
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


def tolerant(hit, allows):
    """A plain loop: of every suffix that is allowed, the most arg-max tokens, over all tokens."""
    suffixes = [hit[k:] for k in range(len(hit))]
    return max([s.count("1") for s in suffixes if allows(s.count("0"), len(s))], default=0) / len(
        hit
    )


def test_tolerance_against_brute_force_on_every_pattern(row):
    for n in (1, 2, 7, 11):
        for bits in itertools.product("01", repeat=n):
            hit = "".join(bits)
            m = extraction_strength(Records([row(hit=[h == "1" for h in hit])]), "forget")
            assert m.parts["one_missed"] == pytest.approx(
                tolerant(hit, lambda missed, _: missed <= 1)
            )
            assert m.parts["tenth_missed"] == pytest.approx(
                tolerant(hit, lambda missed, length: 10 * missed <= length)
            )
            assert m.parts["one_missed"] >= m.value and m.parts["tenth_missed"] >= m.value


@pytest.mark.parametrize(
    ("hit", "value", "one", "tenth"),
    [
        ("1" * 20, 1, 1, 1),
        ("1" * 19 + "0", 0, 0.95, 0.95),  # a wrong full stop
        ("1" * 8 + "0", 0, 8 / 9, 0),  # too short for a tenth
        ("1" * 17 + "000", 0, 0, 0),
        ("0" * 20, 0, 0, 0),
    ],
)
def test_one_wrong_token_at_the_end_is_told_from_not_knowing(row, hit, value, one, tenth):
    m = extraction_strength(Records([row(hit=[h == "1" for h in hit])]), "forget")
    assert (m.value, m.parts["one_missed"], m.parts["tenth_missed"]) == (
        value,
        pytest.approx(one),
        pytest.approx(tenth),
    )


def test_tolerance_reads_the_same_tokens_and_no_floor(row):
    rows = Records([row(hit=[False, False, True, False], eos=True)])
    assert extraction_strength(rows, "forget").parts["one_missed"] == pytest.approx(1 / 3)
    assert extraction_strength(rows, "forget", eos=True).parts["one_missed"] == 0.25
    assert (
        extraction_strength(Records([row(hit=[False] * 4)]), "forget", floor=True).parts[
            "one_missed"
        ]
        == 0
    )


def test_a_log_that_gives_the_value_alone_has_no_tolerance(row):
    assert not extraction_strength(
        Records([row(given={"extraction_strength": 0.5})]), "forget"
    ).parts


def test_the_last_label_goes_whatever_it_is_where_that_is_asked(row):
    rows = Records([row(hit=[False, True, True, False], eos=False)])
    assert extraction_strength(rows, "forget").value == 0
    assert extraction_strength(rows, "forget", last=False).value == pytest.approx(2 / 3)
