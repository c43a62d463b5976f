"""Edits of teachers by hand, and the faults that others' code has."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from small import held, small_subject, streams
from torch import tensor

from expunge.core.errors import Failed
from expunge.core.stages import Teacher
from expunge.losses.teachers import (
    certain,
    mean_of,
    turned_down,
    uniform,
    unlike_reinforced,
    without_label,
)
from expunge.losses.terms import cross_entropy_rows, kl_rows, reverse_kl_rows
from expunge.methods.rkld import rkld
from expunge.training.reference import TeacherLogits, room_for
from expunge.training.sampler import Training, plan
from expunge.training.teachers import freeze

BASE, REINFORCED = tensor([[1.0, 0.0, 0.0]]), tensor([[3.0, 0.0, -1.0]])
LABEL = tensor([0])


def softmax(rows):
    return torch.softmax(rows, -1)[0].tolist()


def test_only_the_label_of_each_row_is_turned_down():
    assert turned_down((torch.zeros(2, 3),), tensor([2, 0]), beta=2.0).tolist() == [
        [0, 0, -2],
        [-2, 0, 0],
    ]


def test_no_beta_is_the_source_itself():
    assert torch.equal(turned_down((BASE,), LABEL, beta=0.0), BASE)


# (.6, .2, .15, .05) without the first: (0, .5, .375, .125)
def test_without_its_label_the_rest_is_renormalized():
    assert softmax(
        without_label((tensor([[0.6, 0.2, 0.15, 0.05]]).log(),), LABEL)
    ) == pytest.approx([0, 0.5, 0.375, 0.125])


def test_a_great_beta_is_the_label_made_impossible():
    rows = (tensor([[0.6, 0.2, 0.15, 0.05]]).log(),)
    assert softmax(turned_down(rows, LABEL, beta=50.0)) == pytest.approx(
        softmax(without_label(rows, LABEL)), abs=1e-7
    )


# of equal means the edit is that of raw logits: (1,0,0) - (2,0,0) + c
def test_what_the_reinforced_copy_prefers_is_turned_down():
    made = unlike_reinforced((BASE, tensor([[3.0, -1.0, -1.0]])), LABEL, alpha=1.0)
    assert softmax(made) == pytest.approx(softmax(tensor([[-1.0, 0.0, 0.0]])))
    assert made[0].tolist() == pytest.approx([-4 / 3, -1 / 3, -1 / 3])


# (2,-1,-1)/3 - relu((7,-2,-5)/3 - (2,-1,-1)/3) = (-3,-1,-1)/3
def test_each_row_is_centered_by_its_own_mean():
    assert unlike_reinforced((BASE, REINFORCED), LABEL, alpha=1.0)[0].tolist() == pytest.approx(
        [-1.0, -1 / 3, -1 / 3]
    )
    soft = [
        softmax(unlike_reinforced((BASE + a, REINFORCED + b), LABEL, alpha=1.0))
        for a, b in ((0, 0), (0, 1), (5, -3))
    ]
    assert soft[0] == pytest.approx(soft[1]) and soft[0] == pytest.approx(soft[2])


def test_what_is_known_by_heart_is_turned_down_by_the_papers_alpha():
    """100 words, the label 8 above the rest and 11 in the copy: 8 - 5 x 2.97 = -6.85.

    Log-probabilities gain .033 only.
    """
    start, copy = (torch.zeros(1, 100).index_fill(1, LABEL, z) for z in (8.0, 11.0))
    assert start.softmax(-1)[0, 0].item() == pytest.approx(0.968, abs=1e-3)
    assert softmax(unlike_reinforced((start, copy), LABEL, alpha=5.0))[0] == pytest.approx(
        math.exp(-6.85) / 99, rel=1e-3
    )


def test_a_shift_of_one_models_logits_does_nothing_to_a_teacher():
    # a table and a head at once: what two models say of one token, the second's logits moved by a
    # constant
    class Shifted:
        def __init__(self, z):
            self.z = z

        def get(self, rows, span, device):
            return self.z

        def __call__(self, hidden):
            return hidden

    provider = Teacher(
        ("start", "reinforced"), edit=lambda z, y: unlike_reinforced(z, y, alpha=1.0)
    )

    def said(shift):
        teacher = TeacherLogits(
            provider, tuple((Shifted(z), Shifted(z)) for z in (BASE, REINFORCED + shift))
        )
        return softmax(teacher.rows([None], "answer", LABEL))

    assert said(0.0) == pytest.approx(said(1.0))
    assert said(0.0) == pytest.approx(said(-7.0))


def test_the_arg_max_is_certain():
    assert softmax(certain(tensor([[-1.0, 0.0, -1.0]]))) == [0.0, 1.0, 0.0]


def test_the_mean_is_of_probabilities_not_of_logits():
    rows = (tensor([[0.9, 0.1]]).log(), tensor([[0.5, 0.5]]).log())
    assert softmax(mean_of(rows, LABEL)) == pytest.approx([0.7, 0.3])
    assert mean_of(rows, LABEL).exp().sum().item() == pytest.approx(1.0)


def test_every_word_alike():
    assert softmax(uniform((BASE,), LABEL)) == pytest.approx([1 / 3] * 3)


def test_both_directions_of_the_divergence():  # student uniform(4), teacher (.1, .3, .3, .3)
    # constants do not matter
    teacher, student = tensor([[0.1, 0.3, 0.3, 0.3]]).log() + 5, torch.zeros(1, 4) - 2
    assert reverse_kl_rows(teacher, student).item() == pytest.approx(0.0923315, abs=1e-6)
    assert kl_rows(teacher, student).item() == pytest.approx(0.0724603, abs=1e-6)


def test_reverse_kl_moves_the_model_alone():
    teacher = tensor([[0.1, 0.3, 0.3, 0.3]]).log().requires_grad_()
    student = torch.zeros(1, 4, requires_grad=True)
    reverse_kl_rows(teacher, student).sum().backward()
    # d/dz = p (log p - log q - KL): .25 (log 2.5 - .0923315) on the first, .25 (log(5/6) -
    # .0923315) on the others
    assert student.grad[0].tolist() == pytest.approx(
        [0.25 * (math.log(2.5) - 0.0923315)] + [0.25 * (math.log(5 / 6) - 0.0923315)] * 3
    )
    assert teacher.grad is None


def test_a_word_that_a_teacher_never_says_costs_nothing_forward_and_all_backward():
    teacher, student = (
        without_label((torch.zeros(1, 4),), LABEL),
        torch.zeros(1, 4, requires_grad=True),
    )
    assert kl_rows(teacher, student).item() == pytest.approx(math.log(4 / 3))
    assert cross_entropy_rows(teacher, student).item() == pytest.approx(math.log(4))
    assert reverse_kl_rows(teacher, student).item() == math.inf
    kl_rows(teacher, student).sum().backward()
    assert student.grad[0].tolist() == pytest.approx([0.25, -1 / 12, -1 / 12, -1 / 12])


def test_a_disk_without_room_is_told_before_it_is_filled(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda place: SimpleNamespace(free=10**9))
    with pytest.raises(Failed, match=r"300 tokens takes 1\.20 GB on disk and 1\.00 are free"):
        room_for(tmp_path / "x.npy", np.dtype("float32"), (300, 10**6))
    assert not (tmp_path / "x.npy").exists()
    assert room_for(tmp_path / "y.npy", np.dtype("float32"), (3, 4)).shape == (3, 4)


def test_a_teacher_is_kept_as_last_hidden_states_not_as_rows_of_words(tmp_path):
    """4 bytes x width x tokens on disk for each model, whatever the vocabulary."""
    data = streams()
    stage = rkld()[1]
    units = plan(stage, data, Training(batch=12, steps=1))[0]
    freeze(
        held(small_subject().model),
        stage,
        [units],
        {"reinforced": small_subject(1)},
        tmp_path,
        lambda n: None,
    )
    tokens = sum(sum(r.scored) for r in data["forget"])
    kept = {p.name: np.load(p).shape for p in tmp_path.iterdir()}
    assert kept == {f"teacher_0_{name}.npy": (tokens, 32) for name in ("start", "reinforced")}
