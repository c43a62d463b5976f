"""Task arithmetic by hand, and its theorem on a linear model."""

import torch
from napkin import seeing
from torch import tensor

from expunge.losses.weight_deltas import added, difference, scaled
from expunge.methods.task_arithmetic import task_arithmetic
from expunge.models.delta import Delta
from expunge.training.sampler import Training
from expunge.training.stages import training_of


def edited(scale, start, tuned):
    weights = {n: w.clone() for n, w in start.items()}
    Delta(task_arithmetic(scale=scale)[1].fn(seeing(start, tuned=tuned))).apply(weights)
    return weights


START, TUNED = {"w": tensor([1.0, 2.0])}, {"w": tensor([4.0, 0.0])}


def test_on_a_napkin():  # 1 - 1 (4 - 1) = -2; 2 - (0 - 2) = 4
    assert edited(1.0, START, TUNED)["w"].tolist() == [-2.0, 4.0]


def test_zero_changes_nothing_and_minus_one_gives_the_tuned_model():
    assert torch.equal(edited(0.0, START, TUNED)["w"], START["w"])
    assert torch.equal(edited(-1.0, START, TUNED)["w"], TUNED["w"])


def test_orthogonal_features_keep_their_predictions():
    """Square loss on inputs along e1 moves the weights along e1 only, so what lies along e2 is
    predicted as before.
    """
    w = torch.tensor([[0.3, -0.7]], dtype=torch.float64, requires_grad=True)
    forget, retain = tensor([[2.0, 0.0]]).double(), tensor([[0.0, 5.0]]).double()
    (w @ forget.T - 1).square().sum().backward()
    tuned = {"w": (w - 0.1 * w.grad).detach()}
    after = edited(0.7, {"w": w.detach()}, tuned)["w"]
    assert torch.equal(after @ retain.T, w.detach() @ retain.T)
    assert not torch.allclose(after @ forget.T, w.detach() @ forget.T)


def test_deltas_are_a_vector_space():
    d = difference(TUNED, START)
    assert added(d, scaled(d, -1))["w"].tolist() == [0, 0]
    assert torch.equal(added(d, added(d, d))["w"], added(added(d, d), d)["w"])


def test_the_tuning_follows_the_run_unless_it_has_epochs_of_its_own():
    training = Training(lr=0.5, epochs=7.0, steps=3)
    assert training_of(task_arithmetic()[0], training) == training
    own = training_of(task_arithmetic(tune_epochs=2.0, tune_lr=0.25)[0], training)
    assert (own.epochs, own.steps, own.lr) == (2.0, None, 0.25)
    assert task_arithmetic()[0].into == "tuned" and task_arithmetic()[0].terms[0].streams == (
        "forget",
    )
