# ruff: noqa: F401 (fixtures are imported by name)
"""Methods made comparable: weights mixed to equal utility, steps counted to equal budget."""

import pytest
import torch
from commands import expunge
from small import rows, small_subject

from expunge import registry
from expunge.experiments.sweep.fair import smallest_share, steps_for, tokens_of
from expunge.losses.weight_deltas import mixed
from expunge.models.modules import parameters_of
from expunge.training.sampler import Training
from expunge.training.stages import steps_of

STREAMS = {"forget": rows("forget", 12), "retain": rows("retain", 24)}


def test_mixing_ends_in_the_two_models_exactly():
    one, other = (parameters_of(small_subject(seed).model) for seed in (0, 1))
    assert all(torch.equal(w, one[n]) for n, w in mixed(one, other, 1.0).items())
    assert all(torch.equal(w, other[n]) for n, w in mixed(one, other, 0.0).items())
    halves = mixed(one, other, 0.5)
    assert all(torch.allclose(w, (one[n] + other[n]) / 2) for n, w in halves.items())
    assert not any(w.data_ptr() == one[n].data_ptr() for n, w in mixed(one, other, 1.0).items())


def test_mixing_with_what_is_no_number():
    broken = {"w": torch.tensor([float("nan")])}
    assert mixed({"w": torch.ones(1)}, broken, 1.0)["w"].item() == 1.0
    with pytest.raises(ValueError, match="from 0 to 1"):
        mixed(broken, broken, 1.5)
    with pytest.raises(LookupError):
        mixed({"v": torch.ones(1)}, broken, 0.5)


def test_the_smallest_share_that_keeps_enough():
    asked = []
    kept = lambda u: asked.append(u) or 0.2 + 0.8 * u
    share = smallest_share(kept, 0.6)
    assert share >= 0.5 and share == pytest.approx(0.5, abs=1 / 128) and len(asked) <= 8
    assert smallest_share(lambda u: 0.9, 0.6) == 0.0
    assert smallest_share(lambda u: float(u == 1), 0.6) == 1.0
    assert smallest_share(lambda u: float("nan") if u < 1 else 1.0, 0.6) == 1.0


def test_equal_budget_counts_the_steps_of_all_stages():
    one = registry.resolve("methods", "grad_diff", {})
    assert steps_for(one, STREAMS, Training(epochs=5, batch=4), 7).steps == 7
    two = registry.resolve("methods", "whp", {})
    found = steps_for(two, STREAMS, Training(epochs=5, batch=4), 40)
    assert (
        steps_of(two, STREAMS | {"alternate": STREAMS["forget"]}, found)
        <= 40
        < steps_of(two, STREAMS, Training(steps=60, batch=4))
    )


def test_tokens_are_those_of_the_rows_that_meet():
    one = registry.resolve("methods", "grad_ascent", {})
    assert tokens_of(one, STREAMS, Training(epochs=1, batch=4)) == sum(
        len(r) for r in STREAMS["forget"]
    )
