"""PDU by hand."""

from dataclasses import replace

import pytest
from napkin import a_pass
from small import small_subject, streams

from expunge.losses.inputs import loss_of
from expunge.methods.pdu import dual_step, pdu
from expunge.training.sampler import Training
from expunge.training.trainer import descend


def loss(*z):
    return loss_of(pdu().terms[0], a_pass(logits=[list(z)], labels=[1])).item()


# (3 - 1)^2, whatever is added to all of them; 0 where all are alike
def test_flatness_of_four_logits():
    assert loss(3.0, 1.0, 1.0, -1.0) == pytest.approx(4.0)
    assert loss(13.0, 11.0, 11.0, 9.0) == pytest.approx(4.0)
    assert loss(2.0, 2.0, 2.0, 2.0) == 0.0


def test_the_multiplier_grows_with_the_violation_after_the_warm_up_and_never_falls_below_0():
    move = lambda state, value, progress: dual_step(
        {"lambda": state},
        {"nll/retain": value},
        progress,
        name="nll/retain",
        step=5.0,
        bound=0.3,
        warmup=0.5,
    )["lambda"]
    assert move(100.0, 0.4, 0.5) == pytest.approx(100.5)
    assert move(100.0, 0.4, 0.49) == 100.0
    assert move(0.2, 0.1, 0.9) == 0.0


def test_the_loop_moves_the_multiplier_by_what_its_steps_saw(tmp_path):
    stage = pdu(multiplier=1.0, dual_step_size=2.0, retain_bound=0.5, dual_warmup=0.5)
    seen = []
    watched = replace(
        stage.controller,
        after=lambda *args: seen.append((args, stage.controller.after(*args))) or seen[-1][1],
    )
    training = Training(lr=1e-3, steps=4, batch=4, save_every=0)
    descend(small_subject(), replace(stage, controller=watched), streams(), training, tmp_path)
    made = [after["lambda"] for _, after in seen]
    losses = [values["nll/retain"] for (_, values, _), _ in seen]
    third = 1.0 + 2.0 * (losses[2] - 0.5)
    assert made == pytest.approx([1.0, 1.0, third, third + 2.0 * (losses[3] - 0.5)])


def test_without_dual_steps_the_multiplier_is_a_coefficient():
    stage = pdu(multiplier=2.0, dual_step_size=0.0)
    assert stage.controller is None and [t.coef for t in stage.terms] == [1.0, 2.0]
