"""Who's Harry Potter by hand."""

import pytest
import torch
from torch import tensor

from expunge.methods.whp import whp, whp_teacher

START, REINFORCED = tensor([[1.0, 0.0, 0.0]]), tensor([[3.0, 0.0, -1.0]])


def test_what_the_reinforced_copy_prefers_is_turned_down():  # (1,0,0) - relu((3,0,-1) - (1,0,0)) = (-1, 0, 0)
    assert whp_teacher((START, REINFORCED), tensor([0]), alpha=1.0, targets="soft").tolist() == [[-1.0, 0.0, 0.0]]


def test_argmax_targets_are_certain():
    got = whp_teacher((START, tensor([[3.0, 0.0, 1.0]])), tensor([0]), alpha=1.0, targets="argmax")  # (-1, 0, -1): the second word
    assert torch.softmax(got, -1).tolist() == [[0.0, 1.0, 0.0]]


def test_the_edit_is_not_shift_invariant_so_rows_come_normalised():
    # +1 on the reinforced side: softmax (.155, .422, .422) -> (.090, .245, .665)
    soft = [torch.softmax(whp_teacher((START, REINFORCED + c), tensor([0]), alpha=1.0, targets="soft"), -1)[0].tolist() for c in (0, 1)]
    assert soft[0] == pytest.approx([0.155, 0.422, 0.422], abs=1e-3)
    assert soft[1] == pytest.approx([0.090, 0.245, 0.665], abs=1e-3)


def test_two_stages_and_the_copy_stays_apart():
    reinforce, learn = whp()
    assert reinforce.into == "reinforced" and learn.into == ""
    assert learn.terms[0].provider.sources == ("start", "reinforced")
