"""SSD by hand, its limits, and on a model that knows its rows."""

import pytest
import torch
from small import held, small_subject, streams
from torch import tensor
from zoo import FORGET, RETAIN, changed, known, trained

from expunge.core.errors import Refused
from expunge.losses.terms import nll
from expunge.methods.ssd import factors, ssd
from expunge.models.modules import parameters_of
from expunge.training.edit import EditContext


def test_selection_and_dampening_by_hand():
    """8 > 2 x 1: 1 x 1 / 8; 4 = 2 x 2 is not above; 9 > 2 x 3: 3 / 9; 0 and 0; above 0 where
    nothing else is: 0.
    """
    forget, every = tensor([8.0, 4.0, 9.0, 0.0, 5.0]), tensor([1.0, 2.0, 3.0, 0.0, 0.0])
    expected = tensor([1 / 8, 1.0, 1 / 3, 1.0, 0.0])
    torch.testing.assert_close(factors(forget, every, alpha=2.0, dampening=1.0), expected)
    assert factors(forget, every, alpha=2.0, dampening=0.0).tolist() == [0.0, 1.0, 0.0, 1.0, 0.0]
    # bounded: nothing grows
    assert factors(forget, every, alpha=2.0, dampening=100.0).tolist() == [1.0, 1.0, 1.0, 1.0, 0.0]


def test_no_weight_grows_and_a_change_of_units_changes_nothing():
    generator = torch.Generator().manual_seed(0)
    forget, every = torch.rand(2, 1000, generator=generator).double()
    for alpha in (0.0, 0.5, 1.0, 5.0):
        made = factors(forget, every, alpha=alpha, dampening=1.0)
        assert (made <= 1).all() and (made >= 0).all()
        torch.testing.assert_close(factors(4 * forget, 4 * every, alpha=alpha, dampening=1.0), made)


def test_the_change_is_of_the_squared_gradients_of_rows():
    """All rows are 12 forget and 24 retain rows, each counted once."""
    model = small_subject().model.double()
    context = EditContext(held(model), streams())
    made = ssd(alpha=1.5).fn(context)
    f, r = (context.squared_gradient(nll(s)) for s in ("forget", "retain"))
    for name, weight in parameters_of(model).items():
        every = (f[name] + 2 * r[name]) / 3
        expected = torch.where(
            f[name] > 1.5 * every, weight * (every / f[name]).clamp(max=1), weight
        )
        torch.testing.assert_close(weight + made.get(name, torch.zeros_like(weight)), expected)


def test_equal_rows_select_nothing_and_that_is_refused():
    rows = streams()
    same = {"forget": rows["forget"], "retain": rows["forget"]}
    with pytest.raises(Refused, match=r"no weight matters more than 1 times.*lower --alpha"):
        ssd(alpha=1.0).fn(EditContext(held(small_subject().model), same))
    with pytest.raises(Refused, match="with 12 forget rows of 36 none can above 3"):
        ssd().fn(EditContext(held(small_subject().model), rows))


def test_the_authors_constants():
    """alpha 10, lambda 1, a bound of 1: forget_full_class_main.py and ssd.py."""
    stage = ssd()
    assert stage.fn.keywords == {"alpha": 10.0, "dampening": 1.0, "rows": 1}
    assert stage.streams == ("forget", "retain") and not stage.needs


def test_it_forgets_more_than_it_loses():
    """It was there: the original knows both; forgotten answers fall further than those that are
    kept.
    """
    start = trained("original")
    assert known(start, FORGET) > 0.9 and known(start, RETAIN) > 0.9
    after = changed(start, ssd(alpha=1.5))
    assert known(after, FORGET) < known(after, RETAIN) - 0.1
