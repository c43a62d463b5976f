"""EUL by hand."""

from math import log

import pytest
from napkin import a_pass
from small import small_subject, streams
from torch import tensor
from torch.testing import assert_close

from expunge.methods.eul import eul
from expunge.training.sampler import Training
from expunge.training.stages import change

TERMS = {t.name: t for t in eul(cap=2.0).terms}


def test_at_the_start_both_distances_are_zero():
    p = a_pass(logits=[[0.0, 1.0], [2.0, 0.0]], labels=[0, 1], teacher=[[0.0, 1.0], [2.0, 0.0]])
    assert TERMS["away/forget"](p).item() == pytest.approx(0) and TERMS["kl/retain"](
        p
    ).item() == pytest.approx(0)


# -(ln 2 + 2): the second token costs ln 100 = 4.6 and counts 2, without gradient
def test_the_push_ends_at_the_cap():
    p = a_pass(p=[0.5, 0.01])
    p.logp.requires_grad_()
    value = TERMS["forget"](p)
    assert_close(value, tensor([-(log(2) + 2.0)]).double())
    value.sum().backward()
    assert p.logp.grad.tolist() == [[1.0, 0.0]]


def test_the_layer_sits_on_the_mlps_output_matrices_and_nothing_else_moves(tmp_path):
    start = small_subject()
    training = Training(lr=1e-2, steps=2, batch=4, save_every=0)
    after = change(start, eul(), streams(), training, tmp_path).model
    config = after.peft_config["default"]
    assert (config.r, config.lora_alpha) == (16, 16.0)
    trained = {
        n.split(".lora_")[0].split("model.")[-1]
        for n, p in after.named_parameters()
        if p.requires_grad
    }
    assert trained == {f"layers.{i}.mlp.down_proj" for i in range(3)}


def test_every_part_has_its_weight_and_reads_its_own_rows():
    terms = eul(away_weight=2.0, close_weight=3.0, ascent_weight=5.0, retain_weight=7.0).terms
    assert [(t.name, t.streams, t.coef) for t in terms] == [
        ("away/forget", ("forget",), 2.0),
        ("forget", ("forget",), 5.0),
        ("kl/retain", ("retain",), 3.0),
        ("nll/retain", ("retain",), 7.0),
    ]
    assert [t.coef for t in eul().terms] == [1.0, 0.5, 1.0, 1.0]
