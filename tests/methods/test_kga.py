"""KGA by hand."""

from math import log

import pytest
import torch
from napkin import a_pass
from small import held, small_subject, streams
from torch import tensor

from expunge.core.data import Row
from expunge.losses.inputs import loss_of
from expunge.methods.kga import gap_teacher, kga, noted
from expunge.training.sampler import Training, plan
from expunge.training.stages import steps_of
from expunge.training.teachers import freeze
from expunge.training.term_values import passes, values_of
from expunge.training.trainer import descend

UNIFORM = torch.zeros(1, 2, dtype=torch.float64)
SURE = tensor([[0.9, 0.1]], dtype=torch.float64).log()
FAR = 0.9 * log(1.8) + 0.1 * log(0.2)  # KL(SURE || UNIFORM) = .368064


def gap(now, of_forget, of_new, start):
    """The size of the gap on one token of a forget row and one of a new row, as the rule minimizes
    it; loss and gradient.
    """
    z = now.clone().requires_grad_()
    teacher = gap_teacher((of_forget, of_new, start), tensor([0]))
    term = kga()[-1].terms[0]
    loss = loss_of(
        term,
        a_pass(logits=z, labels=[0], teacher=teacher),
        a_pass(logits=now, labels=[0], teacher=teacher, stream="mismatch"),
    )
    (slope,) = torch.autograd.grad(loss, z)
    made = kga(retain_weight=0.0)[-1].combine(Asking(loss.item(), slope[0]), {})
    return abs(loss.item()), made["w"].tolist()


class Asking:
    """A step of a known gap and gradient of it."""

    def __init__(self, gap, slope):
        self.gap, self.slope = gap, slope

    def __call__(self, side, at=None):
        return {"w": self.slope if side == "forget" else 10 * torch.ones_like(self.slope)}

    def value(self, side):
        return self.gap


def test_all_alike_is_no_gap():  # A_f = A_n, model = start, forget = new
    assert gap(UNIFORM, SURE, SURE, UNIFORM)[0] == pytest.approx(0.0, abs=1e-12)


# it says what A_f says; new data are .368 away: loss .368, gradient -(p - q) = 0 there
def test_a_model_still_too_near_is_driven_away():
    assert gap(SURE, SURE, SURE, UNIFORM)[0] == pytest.approx(FAR)
    loss, gradient = gap(tensor([[0.8, 0.2]], dtype=torch.float64).log(), SURE, SURE, UNIFORM)
    assert loss == pytest.approx(FAR - (0.9 * log(9 / 8) + 0.1 * log(0.5)))
    assert gradient == pytest.approx([0.1, -0.1])  # -(p - q): descent lowers the first word further


def test_overshoot_flips_the_sign():
    loss, gradient = gap(UNIFORM, SURE, UNIFORM, UNIFORM)  # new data are 0 away, the model .368
    assert loss == pytest.approx(FAR)
    assert gradient == pytest.approx([-0.4, 0.4])  # p - q


# not the other way round, and over words a sum, not a mean
def test_the_constant_is_of_the_new_model_against_the_start():
    assert gap_teacher((UNIFORM, SURE, UNIFORM), tensor([0]))[0, -1].item() == pytest.approx(FAR)


def test_it_stops_when_the_gap_is_narrow():
    controller = kga(stop_share=0.1)[-1].controller
    state = noted({}, {"gap": 2.0}, 0.0)
    assert not controller.stop({}) and not controller.stop(state)
    assert not controller.stop(noted(state, {"gap": 0.3}, 0.5))
    assert controller.stop(noted(state, {"gap": 0.2}, 0.6))


# five mismatched answers to each forget row, and yet no more steps than forget rows give
def test_both_copies_see_as_many_rows():
    rows = lambda role, n: [
        Row(f"row{i}", role, f"g{i}", "answer", (1, 2), (False, True), 1, False) for i in range(n)
    ]
    streams = {
        "forget": rows("forget", 4),
        "mismatch": 5 * rows("mismatch", 4),
        "retain": rows("retain", 6),
    }
    counts = [
        steps_of(stage, streams, Training(batch=2, steps=7, seed=0))
        for stage in kga(helper_epochs=3.0)[1:]
    ]
    assert counts == [6, 6, 7]


def test_what_is_kept_keeps_its_sign():
    for gap, want in ((2.0, [11.0]), (-2.0, [9.0])):
        assert kga()[-1].combine(Asking(gap, torch.ones(1)), {})["w"].tolist() == want


def test_the_sign_is_that_of_the_whole_step(tmp_path):
    """Near 0 the micro-steps' gaps differ in sign; cut into two or whole, a step is the same."""
    auxiliaries = lambda: {"of_forget": small_subject(1), "of_new": small_subject(2)}
    ends, stage = [], kga(retain_weight=0.0)[-1]
    for batch in (8, 1):
        training = Training(
            lr=1e-2, steps=2, batch=batch, accumulate=8 // batch, save_every=0, seed=1
        )
        ends.append(
            descend(
                small_subject(),
                stage,
                streams(),
                training,
                tmp_path / str(batch),
                auxiliaries=auxiliaries(),
            )
        )
    for a, b in zip(*(s.model.parameters() for s in ends)):
        torch.testing.assert_close(a, b, rtol=2e-3, atol=2e-5)
    gaps = [micro_gap(stage, tmp_path / "gaps", i) for i in range(8)]
    assert min(gaps) < 0 < max(gaps)  # or the test would show nothing


def micro_gap(stage, folder, i):
    """The gap of one row of the first step at the start."""
    model, unit = (
        small_subject().model,
        plan(stage, streams(), Training(batch=8, steps=1, seed=1))[0][i],
    )
    frozen = freeze(
        held(model),
        stage,
        [[unit]],
        {"of_forget": small_subject(1), "of_new": small_subject(2)},
        folder,
        lambda n: None,
    )
    term = stage.terms[:1]
    return values_of(term, [unit], passes(held(model), term, [unit], frozen), frozen)["gap"].item()


def test_each_helper_learns_its_own_rows():
    """The authors' A_f is of the forget rows and A_n of new ones, three epochs here; what is kept
    stays near the start, at .3.
    """
    make, of_forget, of_new, align = kga()
    assert make.stream == "mismatch"
    assert [(s.into, s.terms[0].streams) for s in (of_forget, of_new)] == [
        ("of_forget", ("forget",)),
        ("of_new", ("mismatch",)),
    ]
    assert dict(of_forget.training) == dict(of_new.training) == {"epochs": 3.0, "steps": None}
    assert align.terms[0].provider.sources == ("of_forget", "of_new", "start") and align.terms[
        0
    ].streams == ("forget", "mismatch")
    assert [(t.name, t.coef) for t in align.terms] == [
        ("gap", 1.0),
        ("kl/retain", 0.3),
    ] and align.controller is None
    assert kga(new="world")[1].terms[0].streams == ("world",)
