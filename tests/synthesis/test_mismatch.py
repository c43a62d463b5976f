"""Random mismatch: other rows' answers."""

from dataclasses import replace

import pytest

from expunge.core.data import Example
from expunge.core.errors import Refused
from expunge.synthesis.mismatch import mismatches
from expunge.synthesis.tools import Tools

ROWS = tuple(
    Example(f"f/{i}", "forget", f"g{i // 4}", f"answer {i % 13}", f"question {i}")
    for i in range(24)
)
KEPT = tuple(Example(f"r/{i}", "retain", f"k{i}", f"kept {i}", f"other {i}") for i in range(9))


def test_never_the_own_group_nor_the_own_answer():
    made = mismatches({"forget": ROWS}, Tools(seed=1))
    assert len(made) == 5 * len(ROWS)
    by = {e.id: e for e in ROWS}
    for e in made:
        own = {r.answer for r in ROWS if r.group == e.group}
        assert e.prompt == by[e.id].prompt and e.answer not in own and e.role == "mismatch"
    for row in ROWS:
        assert len({e.answer for e in made if e.id == row.id}) == 5  # no repetition


def test_answers_of_another_pool():
    made = mismatches({"forget": ROWS, "retain": KEPT}, Tools(seed=1), k=2, pool="retain")
    assert {e.answer.split()[0] for e in made} == {"kept"} and len(made) == 48


def test_each_row_draws_for_itself():
    one, two = (
        mismatches({"forget": ROWS}, Tools(seed=1)),
        mismatches({"forget": ROWS[::-1]}, Tools(seed=1)),
    )
    assert sorted(one, key=lambda e: (e.id, e.answer)) == sorted(
        two, key=lambda e: (e.id, e.answer)
    ) or {e.id for e in one} == {e.id for e in two}
    assert mismatches({"forget": ROWS}, Tools(seed=2)) != one


def test_what_cannot_be_mismatched_is_refused_without_its_text():
    with pytest.raises(Refused, match=r"no forget row of another group") as e:
        mismatches({"forget": ROWS[:4]}, Tools())
    assert "answer 0" not in str(e.value)
    with pytest.raises(Refused, match="plain text"):
        mismatches({"forget": (replace(ROWS[0], prompt=None, text="x"), *ROWS[1:])}, Tools())
