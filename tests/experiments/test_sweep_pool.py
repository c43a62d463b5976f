# ruff: noqa: F401 (fixtures are imported by name)
"""Workers: as many as asked for make what one makes, and the first failure ends it."""

import pytest
from commands import expunge

from expunge.core.errors import Refused
from expunge.experiments.sweep.pool import pool, together


def double(file, n):
    file.write_text(str(2 * n))


def refuse():
    raise Refused("no")


@pytest.mark.slow
def test_two_workers_make_what_one_makes(tmp_path):
    for workers in (1, 2):
        with pool(workers) as some:
            together(
                some, "numbers", [(double, tmp_path / f"{workers}-{n}", n) for n in range(4)], True
            )
        assert [(tmp_path / f"{workers}-{n}").read_text() for n in range(4)] == ["0", "2", "4", "6"]


def test_the_first_failure_ends_it():
    with pytest.raises(Refused, match="no"), pool(1) as some:
        together(some, "numbers", [(refuse,)], True)
