"""Gradient ascent by hand."""

from dataclasses import replace

import pytest
import torch
from napkin import a_pass
from small import held, small_subject, streams

from expunge.core.stages import Descent
from expunge.losses.inputs import loss_of
from expunge.losses.terms import nll
from expunge.methods.grad_ascent import grad_ascent, shuffled
from expunge.training.sampler import Training
from expunge.training.trainer import descend


# loss -log 4; gradient of the logits (.75, -.25, -.25, -.25)
def test_one_token_of_four_at_zero_logits():
    z = torch.zeros(1, 4, dtype=torch.float64, requires_grad=True)
    loss = loss_of(grad_ascent().terms[0], a_pass(logits=z, labels=[0]))
    loss.backward()
    assert loss.item() == pytest.approx(-1.386294, abs=1e-6)
    assert z.grad[0].tolist() == pytest.approx([0.75, -0.25, -0.25, -0.25])


def test_two_steps_raise_the_loss_each_time():
    z, seen = torch.zeros(1, 4, dtype=torch.float64, requires_grad=True), []
    for _ in range(3):
        loss = loss_of(grad_ascent().terms[0], a_pass(logits=z, labels=[0]))
        (g,) = torch.autograd.grad(loss, z)
        z = (z - g).detach().requires_grad_()
        seen.append(-loss.item())
    assert seen[0] < seen[1] < seen[2]


# ------------------------------------------------------------------ when to stop


def knowing(folder):
    """A small model that has learned its forget rows by heart."""
    learn = Descent("learn", (nll(stream="forget"),))
    return descend(small_subject(), learn, streams(), replace(TRAINING, lr=1e-2, steps=80), folder)


def steps_until(stage, folder):
    descend(knowing(folder / "k"), stage, streams(), TRAINING, folder / "s")
    return len((folder / "s" / "log.jsonl").read_text().splitlines())


TRAINING = Training(lr=3e-3, steps=30, batch=12, save_every=0, weight_decay=0.0, seed=1)


def test_memorization_is_measured_at_each_epoch_and_stops_it(tmp_path):
    """By heart MA is 1 and EL is 1; what was not reached does not stop; what lies above everything
    stops after the first epoch.
    """
    rows, model = {"forget": streams()["forget"]}, knowing(tmp_path / "m").model
    long = [r for r in rows["forget"] if sum(r.scored) >= 2]
    seen = grad_ascent(stop="memorization", el_tokens=2).controller.watch(
        held(model), 1, {}, {"forget": long}
    )
    assert seen == {"ma": 1.0, "el": 1.0}
    assert steps_until(grad_ascent(stop="memorization", ma=1.1, el=1.1), tmp_path / "a") == 1
    assert 1 < steps_until(grad_ascent(stop="memorization", ma=0.5, el=0.5), tmp_path / "b") < 30


def test_it_stops_when_answers_are_as_unlikely_as_shuffled_ones(tmp_path):
    stop = grad_ascent(stop="shuffled").controller.stop
    assert stop({"forget": 3.0, "shuffled": 2.9}) and not stop({"forget": 2.0, "shuffled": 2.9})
    assert 1 < steps_until(grad_ascent(stop="shuffled"), tmp_path) < 30
    row = streams()["forget"][0]
    assert (
        sorted(shuffled(row).ids) == sorted(row.ids)
        and shuffled(row).ids[: row.n_prompt] == row.ids[: row.n_prompt]
    )
