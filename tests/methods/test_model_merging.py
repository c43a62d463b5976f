"""TIES and its use by hand."""

import math

import pytest
import torch
from napkin import a_pass, seeing
from torch import tensor
from torch.testing import assert_close

from expunge.core.stages import Adapter
from expunge.losses.weight_deltas import ties, trimmed
from expunge.methods.model_merging import model_merging
from expunge.models.delta import Delta

DELTA = {"w": tensor([3.0, -1.0, 0.5, 0.0])}


def test_trim_keeps_the_largest():
    assert trimmed(DELTA, 0.5)["w"].tolist() == [3.0, -1.0, 0.0, 0.0]
    assert trimmed(DELTA, 1.0)["w"].tolist() == DELTA["w"].tolist()


def test_elect_and_average():
    """Entry 1: 3 against -1, + is elected: 3.

    Entry 2: -1 and -3: -2. Entry 3: only one has it: .5. Entry 4: a tie is 0.
    """
    other = {"w": tensor([-1.0, -3.0, 0.0, 0.0])}
    assert ties([DELTA, other], [1.0, 1.0], 1.0)["w"].tolist() == [3.0, -2.0, 0.5, 0.0]
    assert ties([{"w": tensor([1.0])}, {"w": tensor([-1.0])}], [1.0, 1.0], 1.0)["w"].tolist() == [
        0.0
    ]


def test_merging_with_itself_gives_it_back():
    start = {"w": tensor([1.0, 1.0, 1.0, 1.0])}
    copy = {"w": start["w"] + DELTA["w"]}
    weights = {"w": start["w"].clone()}
    Delta(model_merging(density=1.0)[-1].fn(seeing(start, first=copy, second=copy))).apply(weights)
    assert_close(weights["w"], copy["w"])


def test_the_recipe_of_both_copies():
    """Authors' unlearn-merging.py: (ga, gk, gd) = (.4, .2, .4) and (.3, .4, .3), where gk
    multiplies the NLL and gd the KL; rank and alpha 32 on every linear layer; TIES at density .8
    with weights 1 and 1.
    """
    first, second, merge = model_merging()
    names = ["forget", "nll/retain", "kl/retain"]
    assert [[(t.name, t.coef) for t in s.terms] for s in (first, second)] == [
        list(zip(names, (0.4, 0.2, 0.4))),
        list(zip(names, (0.3, 0.4, 0.3))),
    ]
    assert first.adapter == second.adapter == Adapter(32, 32.0)
    assert (first.into, second.into, merge.needs) == ("first", "second", {"first", "second"})
    start = {"w": torch.zeros(10)}
    copy = {"w": torch.arange(1.0, 11.0)}
    assert (merge.fn(seeing(start, first=copy, second=copy))["w"] != 0).sum() == 8


def test_the_preference_is_of_the_mean_per_token():
    """beta .1 on .5 and .25 against .5 and .5: 20 log(1 + (1/2)^(.1 / 2)) = 13.519; of the sum it
    would be 13.178.
    """
    term = model_merging()[0].terms[0]
    p = a_pass(p=[0.5, 0.25], start=[0.5, 0.5])
    assert term(p).item() == pytest.approx(20 * math.log(1 + 0.5**0.05))
    assert term(p).item() == pytest.approx(13.519, abs=1e-3)
    assert term.reduction == "seqmean"


def test_both_copies_count_alike():  # (3 + 1) / 2, (1 + 5) / 2
    start = {"w": torch.zeros(2)}
    made = model_merging(density=1.0)[-1].fn(
        seeing(start, first={"w": tensor([3.0, 1.0])}, second={"w": tensor([1.0, 5.0])})
    )
    assert_close(made["w"], tensor([2.0, 3.0]))
