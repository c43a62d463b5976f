"""MemFlex by hand, and on a model: what is not located stays as it was, to the bit."""

from dataclasses import dataclass
from types import SimpleNamespace

import pytest
import torch
from small import small_subject, streams
from torch import tensor

from expunge.methods import memflex as memflex_module
from expunge.methods.memflex import memflex, pulled, randomized, region
from expunge.training.sampler import Training
from expunge.training.trainer import descend

GRADS = {"same": tensor([1.0, 1.0]), "own": tensor([1.0, 0.0]), "weak": tensor([1e-6, 0.0])}
OTHER = {"same": tensor([2.0, 2.0]), "own": tensor([1.0, 1.0]), "weak": tensor([0.0, 1.0])}


def test_directions_of_their_own_and_long_enough():  # cosines 1, .707, 0; mean sizes 1, .5, 5e-7
    assert region(GRADS, OTHER, cosine=0.92, least=6e-4) == {
        "same": False,
        "own": True,
        "weak": False,
    }
    assert region(GRADS, OTHER, cosine=0.5, least=0.0) == {
        "same": False,
        "own": False,
        "weak": True,
    }
    assert not any(region(GRADS, GRADS, cosine=0.92, least=0.0).values())


def test_labels_are_random_where_scored_and_drawn_anew_for_each_copy():
    row = streams()["forget"][0]
    one, two = (randomized(row, 64, key) for key in "ab")
    assert one.ids == row.ids and one.labels != two.labels and one == randomized(row, 64, "a")
    assert all(a == t for a, t, s in zip(one.labels, row.ids, row.scored) if not s)


def moved(tmp_path, **arguments):
    training = Training(lr=1e-3, steps=2, batch=4, save_every=0, weight_decay=0.5, seed=1)
    after = dict(
        descend(
            small_subject(), memflex(**arguments), streams(), training, tmp_path
        ).model.named_parameters()
    )
    return {n: not torch.equal(p, after[n]) for n, p in small_subject().model.named_parameters()}


def test_loose_thresholds_move_all_and_others_leave_the_rest_alone(tmp_path):
    assert all(moved(tmp_path / "a", cosine=1.01, least_gradient=0.0).values())
    some = moved(tmp_path / "b", cosine=0.02, least_gradient=0.0)
    assert 0 < sum(some.values()) < len(some)


def test_the_authors_constants():
    """Random labels in 3 copies, cosine below .92 and mean size above 6e-4; -.4 and 2.0 of means
    per answer.
    """
    stage = memflex()
    assert stage.locate.keywords == {"cosine": 0.92, "least": 6e-4, "copies": 3}
    assert [(t.name, t.coef, t.reduction) for t in stage.terms] == [
        ("ascent/forget", 0.4, "seqmean"),
        ("nll/retain", 2.0, "seqmean"),
    ]


def test_random_labels_are_of_the_whole_vocabulary(tmp_path, monkeypatch):
    """64 words, states of 32 numbers."""
    asked = []
    plain = memflex_module.randomized
    monkeypatch.setattr(
        memflex_module,
        "randomized",
        lambda row, vocab, key: asked.append(vocab) or plain(row, vocab, key),
    )
    moved(tmp_path, least_gradient=0.0)
    assert set(asked) == {64}


@dataclass
class Everywhere:
    """A place whose gradient of a term is its coefficient on forget rows, and turned by a right
    angle on retain rows.
    """

    units: list
    seed: int = 0

    @property
    def model(self):
        return SimpleNamespace(vocab=64)

    def gradient(self, term):
        forgets = term.streams == ("forget",)
        return {"w": term.coef * tensor([1.0, 1.0] if forgets else [1.0, -1.0])}


@pytest.mark.parametrize("copies", [1, 3])
def test_gradients_are_averaged_over_the_draws_not_added(copies):
    """Each draw has a mean size of 1: so has the average of however many."""
    data = streams()
    place = Everywhere([{"forget": data["forget"][0], "retain": data["retain"][0]}])
    assert pulled(place, cosine=0.9, least=0.99, copies=copies) == {"w": True}
    assert pulled(place, cosine=0.9, least=1.01, copies=copies) == {"w": False}
