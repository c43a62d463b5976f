"""TAU by hand: selective ascent, then the negation of what fine-tuning from there changes."""

import pytest
import torch
from napkin import seeing
from torch import tensor

from expunge.methods.tau import tau


def test_the_change_is_subtracted():  # 1 - .5 (3 - 1) = 0
    start, tuned = {"w": tensor([1.0, 2.0])}, {"w": tensor([3.0, 2.0])}
    assert torch.equal(
        start["w"] + tau(scale=0.5)[-1].fn(seeing(start, tuned=tuned))["w"], tensor([0.0, 2.0])
    )


def test_the_stages_and_where_the_copy_begins():
    ascend, tune, negate = tau(threshold=0.3, tune_epochs=2.0)
    assert (
        ascend.terms[0].name == "forget"
        and ascend.into == ""
        and tune.into == "tuned"
        and tune.training["epochs"] == 2.0
    )
    assert negate.needs == {"tuned"}


@pytest.mark.parametrize("scale", [0.0])
def test_scale_zero_is_sga(scale):
    delta = tau(scale=scale)[-1].fn(seeing({"w": tensor([1.0])}, tuned={"w": tensor([3.0])}))
    assert delta["w"].tolist() == [0.0]
