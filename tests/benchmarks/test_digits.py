"""Digits: which pictures are forgotten, kept, and never seen."""

import numpy as np
import pytest

from expunge.benchmarks.digits import SPLITS, digits
from expunge.core.errors import Refused


def ids(case, role):
    return {e.id for e in case.evaluate[role]}


@pytest.mark.parametrize("split", ["class-3", "random10"])
def test_every_picture_has_one_role(split):
    case = digits(split).case
    roles = [ids(case, role) for role in ("forget", "retain", "test", "holdout")]
    assert sum(map(len, roles)) == len(set().union(*roles)) == 1797
    assert len(case.train["full"]) == len(roles[0]) + len(roles[1])
    assert abs(len(case.train["full"]) - 0.75 * 1797) < 10
    assert {e.role for e in case.train["forget"]} == {"forget"}


def test_a_class_is_forgotten_whole():
    case = digits("class-3").case
    for role, right in {"forget": True, "holdout": True, "retain": False, "test": False}.items():
        assert all((e.answer == "3") is right for e in case.evaluate[role])


def test_random_rows_are_of_all_classes():
    case = digits("random10").case
    share = len(case.train["forget"]) / len(case.train["full"])
    assert share == pytest.approx(0.1, abs=0.01)
    for role in ("forget", "test", "holdout"):
        assert len({e.answer for e in case.evaluate[role]}) == 10


def test_the_pictures_are_the_librarys():
    from sklearn.datasets import load_digits

    case = digits().case
    one = case.evaluate["retain"][0]
    i = int(one.id.split("/")[1])
    pixels = np.frombuffer(one.media.data, np.uint8).reshape(8, 8) * (16 / 255)
    assert np.abs(pixels - load_digits().images[i]).max() < 0.05
    assert one.answer == str(load_digits().target[i])


def test_a_seed_draws_others_and_an_unknown_split_is_refused():
    assert ids(digits(seed=0).case, "holdout") != ids(digits(seed=1).case, "holdout")
    with pytest.raises(Refused, match="class-3"):
        digits("class-33")
    assert len(SPLITS) == 11
