"""Training of bfloat16 weights: steps smaller than a weight's last bit add up, whatever the
optimizer, and through a resume.
"""

import shutil
from dataclasses import replace

import pytest
import torch
from small import small_subject, streams

from expunge.core.errors import Refused
from expunge.core.notes import forget_notes
from expunge.methods.grad_diff import grad_diff
from expunge.models.modules import digest_tensors
from expunge.training.mixed_precision import widen
from expunge.training.optimizers import optimizer_of
from expunge.training.sampler import Training
from expunge.training.trainer import descend

TRAINING = Training(lr=1e-3, steps=6, batch=4, save_every=2, seed=3, weight_decay=0.0)


def stepped(p, make, steps=10):
    """The parameter after steps on a gradient of one."""
    made = make([{"params": [p], "weight_decay": 0.0}])
    widen(made)
    for _ in range(steps):
        p.grad = torch.ones_like(p)
        made.step()
    return p.detach()


MAKERS = {
    "adamw": lambda groups: torch.optim.AdamW(groups, lr=1e-3),
    "sgd": lambda groups: optimizer_of("sgd", groups, 1e-3, (0.9, 0.999), 0.04),
    "sophia": lambda groups: optimizer_of("sophia", groups, 1e-3, (0.0, 0.0), 1e-9),
}


@pytest.mark.parametrize("name", MAKERS)
def test_ten_steps_of_a_thousandth_move_a_one_by_a_hundredth(name):
    """Each alone is less than half of bfloat16's last bit below 1 (1/256): one after the other they
    would leave it 1.
    """
    exact = stepped(torch.nn.Parameter(torch.ones(3)), MAKERS[name])
    torch.testing.assert_close(exact, torch.full((3,), 0.99), rtol=1e-5, atol=0.0)
    held = stepped(torch.nn.Parameter(torch.ones(3, dtype=torch.bfloat16)), MAKERS[name])
    assert (
        held.dtype == torch.bfloat16
        and torch.equal(held, exact.bfloat16())
        and float(held[0]) == 0.98828125
    )


def test_what_is_set_from_outside_outranks_the_copy():
    p = torch.nn.Parameter(torch.ones(2, dtype=torch.bfloat16))
    made = MAKERS["sgd"]([{"params": [p], "weight_decay": 0.0}])
    ((_, wide),) = widen(made)
    for _ in range(3):
        p.grad = torch.ones_like(p)
        made.step()
        with torch.no_grad():
            p[1] = 0.5  # held by a mask
    torch.testing.assert_close(wide.detach(), torch.tensor([0.997, 0.499]), rtol=1e-5, atol=1e-5)


def test_float32_weights_are_stepped_as_they_are():
    assert widen(torch.optim.AdamW([torch.nn.Parameter(torch.ones(2))])) == []


def test_the_copies_are_kept_in_a_checkpoint():
    """Half a last bit that has not shown yet goes on after a resume."""
    grown = []
    for cut in (False, True):
        p = torch.nn.Parameter(torch.ones(2, dtype=torch.bfloat16))
        made = MAKERS["adamw"]([{"params": [p]}])
        widen(made)
        for i in range(4):
            if cut and i == 2:
                state = made.state_dict()
                made = MAKERS["adamw"]([{"params": [p]}])
                ((_, wide),) = widen(made)
                made.load_state_dict(state)
                assert float(wide.detach()[0]) != float(p.detach()[0])
            p.grad = torch.ones_like(p)
            made.step()
        grown.append(p.detach().clone())
    assert torch.equal(*grown) and float(grown[0][0]) < 1


def trained(folder, dtype, **more):
    subject = small_subject()
    subject.model = subject.model.to(dtype)
    descend(subject, grad_diff(), streams(), replace(TRAINING, **more), folder)
    return subject.model


def test_a_norm_moves_as_it_does_in_float32(tmp_path, caplog):
    more = {"steps": 20, "schedule": "constant", "save_every": 0}
    forget_notes()
    exact = trained(tmp_path / "a", torch.float32, **more)
    assert not caplog.text
    held = trained(tmp_path / "b", torch.bfloat16, **more)
    assert "the weights are bfloat16; steps are made on a float32 copy" in caplog.text
    near, start = held.model.norm.weight.float(), torch.ones_like(held.model.norm.weight)
    # more than half a last bit on either side of 1
    moved = (exact.model.norm.weight - 1).abs() > 1 / 256
    assert moved.float().mean() > 0.1
    assert (near[moved] != start[moved]).float().mean() > 0.9


def test_a_resumed_run_in_bfloat16_ends_with_the_same_bits(tmp_path):
    straight = trained(tmp_path / "a", torch.bfloat16)
    trained(tmp_path / "b", torch.bfloat16)
    shutil.rmtree(tmp_path / "b" / "checkpoint-6")
    assert digest_tensors(trained(tmp_path / "b", torch.bfloat16)) == digest_tensors(straight)


def test_float16_is_not_trained(tmp_path):
    with pytest.raises(
        Refused, match=r"float16 weights are not trained.*pass --dtype bfloat16 or float32"
    ):
        trained(tmp_path, torch.float16)
