"""TAR by hand."""

from math import exp, log

import pytest
import torch
from napkin import a_pass
from small import held, small_subject, streams
from torch import tensor
from torch.testing import assert_close

from expunge.methods.tar import tar
from expunge.models.modules import digest_tensors
from expunge.training.sampler import Training, plan
from expunge.training.teachers import freeze
from expunge.training.trainer import Asked, descend, passes


def test_the_entropy_of_uniform_is_ln_v():
    flat = tar().terms[0](a_pass(logits=[[0.0] * 4, [0.0] * 4], labels=[0, 3]))
    assert_close(flat, tensor([-2 * log(4)]).double())


def test_the_published_recipe_weighs_the_tamper_gradient_by_17_75():
    """run_tar_bio.sh: 64 inner steps, every 4th, scale 4, schedule .0625: 4 sum_k exp(-.25 k), k <
    16 = 17.75; the retain side by 1.
    """
    rule = tar(tamper_steps=64, sample_every=4).combine
    made = rule(Steady(), {})["w"].item()
    assert made * tar().terms[0].coef == pytest.approx(17.75, abs=0.005)
    assert rule.keywords["growth"] == 0.0625 and {t.name: t.coef for t in tar().terms} == {
        "forget": 4.0,
        "adversary": 1.0,
        "states": 1.0,
        "nll/retain": 1.0,
    }


class Steady:
    """On a line: every gradient is 1, that of what is kept 0."""

    weights, lr, step = {"w": torch.zeros(1)}, 0.1, 0

    def __call__(self, side, at=None):
        return {"w": torch.zeros(1) if side == "retain" else torch.ones(1)}


def test_every_block_is_kept_unless_some_are_named(tmp_path):
    model, data = small_subject().model, streams()
    for stage, layers in ((tar(), {0, 1, 2}), (tar(layers=("1",)), {1})):
        units = plan(stage, data, Training(batch=4, steps=1))[0]
        seen = passes(
            held(model),
            stage.terms,
            units,
            freeze(held(model), stage, [units], {}, tmp_path / str(len(layers)), lambda n: None),
        )
        assert (
            set(seen["retain", "answer"].hidden)
            == set(seen["retain", "answer"].start_hidden)
            == layers
        )


# |(3, 4)| = 5 in one layer, 1 in the other: mean 3
def test_states_are_kept_by_their_plain_distance():
    for layers in (("0", "1"), ("all",)):
        states = next(t for t in tar(layers=layers).terms if t.name == "states")
        assert states(FAR).item() == 3.0
    assert next(t for t in tar(layers=("1",)).terms if t.name == "states")(FAR).item() == 1.0


FAR = a_pass(
    hidden={0: [[[3.0, 4.0]]], 1: [[[0.0, 1.0]]]},
    start_hidden={0: [[[0.0, 0.0]]], 1: [[[0.0, 0.0]]]},
    stream="retain",
)


class Asking:
    """On a line: the adversary's gradient is 1, the tamper gradient the place itself, the retain
    gradient 10.
    """

    weights, lr, step = {"w": torch.zeros(1)}, 0.1, 0

    def __call__(self, side, at=None):
        place = self.weights if at is None else at
        return {
            "w": {
                "adversary": torch.ones(1),
                "forget": place["w"] + 2.0,
                "retain": 10 * torch.ones(1),
            }[side]
        }


def test_no_adversary_is_the_tamper_loss_and_what_is_kept():
    assert tar(tamper_steps=0).combine(Asking(), {})["w"].item() == 12.0
    assert not any(t.group for t in tar(tamper_steps=0).terms)


@pytest.mark.parametrize("every,seen", [(1, [1, 2, 3]), (2, [1, 3])])
# AdamW of a constant gradient steps by lr: after i steps w = -.1 i
def test_later_steps_count_more(every, seen):
    made = (
        tar(tamper_steps=3, sample_every=every, tamper_lr=0.1, growth=0.5)
        .combine(Asking(), {})["w"]
        .item()
    )
    # the authors' code adds them up
    want = 10 + sum(exp(0.5 * (i - 3)) * (2 - 0.1 * i) for i in seen)
    assert made == pytest.approx(want, rel=1e-5)


def test_the_weights_are_restored_bit_by_bit(tmp_path, monkeypatch):
    digests = []
    plain = Asked.__call__

    def watching(self, side, at=None):
        made = plain(self, side, at)
        digests.append((self.step, digest_tensors(self.model)))
        return made

    monkeypatch.setattr(Asked, "__call__", watching)
    training = Training(lr=1e-3, steps=2, batch=4, save_every=0, seed=1)
    descend(small_subject(), tar(), streams(), training, tmp_path)
    assert len({d for s, d in digests if s == 0}) == 1 and len(set(digests)) == 2


def test_states_are_measured_from_the_start_models():  # (4, 6) from (1, 2): |(3, 4)| = 5
    states = next(t for t in tar(layers=("1",)).terms if t.name == "states")
    assert (
        states(
            a_pass(hidden={1: [[[4.0, 6.0]]]}, start_hidden={1: [[[1.0, 2.0]]]}, stream="retain")
        ).item()
        == 5.0
    )
