"""Eraser by hand."""

import pytest
import torch
from napkin import a_pass
from small import small_subject

from expunge.core.card import Call
from expunge.core.requests import UnlearnRequest
from expunge.losses.inputs import loss_of
from expunge.methods.eraser import card, eraser
from expunge.models.causal_lm.lora import matrices
from expunge.pipeline.settings import preset_of, training_settings


def step(p, **arguments):
    seen = a_pass(p=p)
    seen.logp.requires_grad_()
    loss = loss_of(eraser(**arguments).terms[0], seen)
    loss.backward()
    return loss.item(), seen.logp.grad


def test_the_floor_holds_for_each_answer_by_itself():
    """NLL per token of .25 and .5 and of .01 twice: (1.8 - 1.5 ln 2) / 2 and nothing; the batch's
    mean is above the floor.
    """
    loss, gradient = step([[0.25, 0.5], [0.01, 0.01]])
    assert loss == pytest.approx((1.8 - 1.039721) / 2, abs=1e-6)
    assert gradient.tolist() == [[0.25, 0.25], [0.0, 0.0]]


def test_at_the_floor_there_is_no_gradient_and_far_above_it_is_ascent():
    assert step([0.1])[1].item() == 0.0
    loss, gradient = step([0.1], gamma=50.0)
    assert loss == pytest.approx(50 + torch.tensor(0.1).log().item()) and gradient.item() == 1.0


def test_the_shipped_configuration():
    """train_agrs.json: threshold 1.8; the two divergences are added with weight 1; rank 8, alpha
    16, dropout .05 on q and v.
    """
    assert step([0.5], gamma=1.8) == step([0.5])
    assert [(t.name, t.streams, t.coef) for t in eraser().terms] == [
        ("forget", ("forget",), 1.0),
        ("kl/retain", ("retain",), 1.0),
    ]
    preset = card.settings["harmful_answers"]
    assert (
        preset["gamma"],
        preset["lr"],
        preset["batch"],
        preset["schedule"],
        preset["epochs"],
    ) == (1.8, 2e-5, 64, "cosine", 5)
    request = UnlearnRequest(method=Call("eraser"), preset="harmful_answers")
    adapter = training_settings(request, preset_of(request, None)[1]).adapter
    assert (adapter.rank, adapter.alpha, adapter.dropout) == (8, 16.0, 0.05)
    sits = {name.rpartition(".")[2] for name in matrices(small_subject().model, adapter.targets)}
    assert sits == {"q_proj", "v_proj"}
