"""MUDMAN by hand, and the corner of it that is plain alternation."""

import re
from dataclasses import replace

import pytest
import torch
from small import held, small_subject, streams
from torch import tensor
from torch.testing import assert_close

from expunge.losses.gradients import norm, scaled
from expunge.methods.mudman import Adversary, card, mudman
from expunge.training.sampler import Training
from expunge.training.stages import training_of
from expunge.training.trainer import descend


class Asking:
    """Constant gradients; the places that the forget gradient was asked for are kept."""

    def __init__(self, forget, retain, lr=0.1):
        self.sides = {"forget": tensor(forget), "retain": tensor(retain)}
        self.weights, self.lr, self.step, self.places = {"w": torch.zeros(len(forget))}, lr, 0, []

    def __call__(self, side, at=None):
        if at is not None:
            self.places.append(at["w"].clone())
        return {"w": self.sides[side]}


# (1, -2) agrees with (3, 4) at the first entry: 1 + 3, 0 + 4
def test_only_agreeing_entries_and_the_retain_step():
    ask = Asking([1.0, -2.0], [3.0, 4.0])
    assert mudman(scale="none", retain_ratio=1.0).combine(ask, {})["w"].tolist() == [4.0, 4.0]
    assert_close(ask.places[0], tensor([-0.3, -0.4]))  # asked after the retain step


def test_the_adversary_descends_where_we_ascend_and_is_copied_again():
    """At (-.3, -.4) it moves by +.1 x the ascent gradient; with decay one half: half way back."""
    ask, state = Asking([1.0, -2.0], [3.0, 4.0]), {}
    rule = mudman(adversary_lr=0.1, adversary_decay=0.5, fork_every=2, retain_ratio=1.0).combine
    for ask.step in range(3):
        rule(ask, state)
    assert_close(torch.stack(ask.places), tensor([[-0.3, -0.4], [-0.25, -0.5], [-0.3, -0.4]]))


@pytest.mark.parametrize("scale,length", [("unit", 1.0), ("first", 5.0), ("size", 2**0.5)])
def test_the_length_is_set_before_the_mask(scale, length):
    ask, state = Asking([3.0, 4.0], [0.5, 0.5]), {}
    rule = mudman(scale=scale, retain_ratio=0.0).combine
    rule(ask, state)
    ask.sides["forget"] = tensor([0.3, 0.4])
    assert_close(norm(rule(ask, state)).item(), length)
    ask.sides["forget"] = tensor([0.3, -0.4])
    assert_close(norm(rule(ask, state)).item(), 0.6 * length)


def test_without_mask_scale_and_memory_it_is_alternation(tmp_path):
    """Retain descent, then forget ascent, by SGD: the same weights as the loop written by hand."""
    stage = mudman(
        mask=False, scale="none", decay=0.0, fork_every=1, trained="all", retain_ratio=1.0
    )
    training = Training(
        lr=0.05, steps=3, batch=4, save_every=0, schedule="constant", weight_decay=0.0, seed=1
    )
    made = descend(small_subject(), stage, streams(), training_of(stage, training), tmp_path).model
    by_hand = alternated(stage, training, tmp_path)
    for n, p in made.named_parameters():
        assert_close(p, by_hand[n], rtol=1e-4, atol=1e-6)


def alternated(stage, training, folder):
    from expunge.training.sampler import denominators, plan
    from expunge.training.teachers import freeze
    from expunge.training.term_values import passes, values_of

    model = small_subject().model
    steps = plan(stage, streams(), training)
    frozen = freeze(held(model), stage, steps, {}, folder / "c", lambda n: None)
    for units in steps:
        for term in reversed(stage.terms):  # retain, then forget
            (value,) = values_of(
                [term], units, passes(held(model), [term], units, frozen), frozen
            ).values()
            model.zero_grad()
            (term.coef * value / denominators([term], units)[term.name]).backward()
            with torch.no_grad():
                for p in model.parameters():
                    p -= training.lr * p.grad
    return dict(model.named_parameters())


def test_the_authors_script():
    """src/MUDMAN.py at 36241eb: length 1, fork every 32, adversary rate 1e-3, momentum .9, rates .1
    and 1e-3, MLP gates.
    """
    rule = dict(mudman().combine.keywords)
    assert rule == {
        "decay": 0.9,
        "retain_ratio": 0.01,
        "mask": True,
        "scale": "unit",
        "adversary": Adversary(fork_every=32, decay=1.0, lr=1e-3),
    }
    assert card.settings["wmdp"]["lr"] * rule["retain_ratio"] == pytest.approx(1e-3)
    chosen = [
        n for n, _ in small_subject().model.named_parameters() if re.search(mudman().select, n)
    ]
    assert chosen == [f"model.layers.{i}.mlp.gate_proj.weight" for i in range(3)]
    assert [(t.name, t.coef) for t in mudman().terms] == [
        ("ascent/forget", 1.0),
        ("nll/retain", 1.0),
    ]


def test_a_zero_gradient_leaves_every_weight_to_the_bit(tmp_path):
    """Whatever weight decay the run has: .5 x .01 a step would leave .64 of a matrix after 90
    steps.
    """
    stage = replace(mudman(trained="all"), combine=lambda ask, state: scaled(ask("retain"), 0.0))
    training = training_of(
        stage, Training(lr=0.5, steps=2, batch=4, save_every=0, weight_decay=0.01, clip=1.0)
    )
    assert (training.optimizer, training.weight_decay, training.clip) == ("sgd", 0.0, 0.0)
    after = descend(small_subject(), stage, streams(), training, tmp_path).model
    assert all(
        torch.equal(p, after.get_parameter(n)) for n, p in small_subject().model.named_parameters()
    )
