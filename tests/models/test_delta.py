"""A change of weights: a vector space, undone to the bit, kept in a file, and as low-rank factors
with the error told.
"""

import pytest
import torch
from small import small_model, small_subject, streams
from torch import tensor
from torch.testing import assert_close

from expunge.core.errors import Refused
from expunge.methods.task_arithmetic import task_arithmetic
from expunge.models.delta import Delta, facts_of
from expunge.models.modules import parameters_of
from expunge.training.sampler import Training
from expunge.training.stages import change


def drawn(seed, dtype=torch.float32, scale=1.0):
    """A matrix, a vector, and a zero of each sign."""
    generator = torch.Generator().manual_seed(seed)
    matrix = scale * torch.randn(6, 9, generator=generator, dtype=torch.float64)
    zeros = tensor([0.0, -0.0, 1.0], dtype=torch.float64)
    return {
        "w": matrix.to(dtype),
        "b": torch.randn(5, generator=generator, dtype=torch.float64).to(dtype),
        "z": zeros.to(dtype),
    }


def bits(weights):
    return {n: w.view(torch.uint8).tolist() for n, w in weights.items()}


def test_the_space_by_hand():
    a, b = Delta({"w": tensor([1.0, 2.0])}), Delta({"w": tensor([3.0, 0.0]), "v": tensor([1.0])})
    made = (a + 2.0 * b).changes
    assert made["w"].tolist() == [7.0, 2.0] and made["v"].tolist() == [2.0]
    assert (-a).changes["w"].tolist() == [-1.0, -2.0]
    assert (a + -a).touching().changes == {}
    assert Delta.between(
        {"w": tensor([4.0]), "v": tensor([1.0])}, {"w": tensor([1.0]), "v": tensor([1.0])}
    ).changes == {"w": tensor([3.0])}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
def test_undone_to_the_bit_also_from_a_file(dtype, scale, tmp_path):
    weights = drawn(0, dtype)
    before = bits(weights)
    made = Delta(
        {
            n: d.to(torch.promote_types(dtype, torch.float32))
            for n, d in drawn(1, scale=scale).items()
        }
    ).apply(weights)
    assert bits(weights) != before
    after = {n: w.clone() for n, w in weights.items()}
    made.revert(weights)
    assert bits(weights) == before
    Delta.load(made.save(tmp_path / "d.safetensors")).revert(after)
    assert bits(after) == before


def test_subtraction_alone_would_not_do_and_where_it_does_nothing_is_kept():
    weights = drawn(0)
    assert set(Delta(drawn(1)).apply(weights).originals) == {"w", "b", "z"}
    weights = drawn(0)
    pruned = Delta({"w": -weights["w"], "b": torch.zeros(5)}).apply(weights)
    assert set(pruned.originals) == set() and (weights["w"] == 0).all()


def test_what_cannot_be_undone_is_refused_and_left_alone():
    weights = drawn(0)
    made = Delta(drawn(1)).apply(weights)
    weights["b"][2] += 1
    moved = bits(weights)
    with pytest.raises(Refused, match="b is not what the change left"):
        made.revert(weights)
    assert bits(weights) == moved
    with pytest.raises(Refused, match="was not applied"):
        Delta(drawn(1)).revert(weights)
    with pytest.raises(Refused, match="a change of q, which this model lacks"):
        Delta({"q": tensor([1.0])}).apply(weights)
    with pytest.raises(Refused, match=r"shape \(2,\); this model's is \(5,\)"):
        Delta({"b": tensor([1.0, 1.0])}).apply(weights)
    assert bits(weights) == moved


def test_a_low_rank_change_is_its_factors_and_of_a_higher_one_the_rest_is_told():
    left, right = torch.randn(6, 2), torch.randn(2, 9)
    found = Delta({"w": left @ right}).to_lora(2)
    a, b = found.pairs["w"]
    assert a.shape == (2, 9) and b.shape == (6, 2) and found.error < 1e-6
    assert_close(b @ a, left @ right, rtol=1e-4, atol=1e-5)
    diagonal = Delta({"w": torch.diag(tensor([4.0, 3.0, 0.0])), "b": tensor([12.0])})
    found = diagonal.to_lora(1)  # of 4, 3 and 12 the matrix keeps 4: sqrt(9 + 144) / 13
    assert found.error == pytest.approx(153**0.5 / 13) and found.left_out == ("b",)
    assert diagonal.size() == {"tensors": 2, "entries": 3, "norm": 13.0, "rank": 2}


def test_files_that_are_no_deltas_are_refused(tmp_path):
    with pytest.raises(Refused, match="no such file"):
        Delta.load(tmp_path / "none")
    (tmp_path / "bad").write_bytes(b"0" * 100)
    with pytest.raises(Refused, match="not a change of weights"):
        Delta.load(tmp_path / "bad")


def test_the_out_of_an_edit_keeps_it(tmp_path):
    """Undone, the changed model has the bits of the one that it began with."""
    start = small_subject()
    training = Training(lr=1e-2, steps=2, batch=4, save_every=0)
    after = change(start, task_arithmetic(scale=0.5), streams(), training, tmp_path)
    file = tmp_path / "edits" / "1-negate.safetensors"
    facts = facts_of(file)
    assert (
        facts["stage"] == "negate"
        and facts["tensors"] == len(parameters_of(small_model()))
        and facts["norm"] > 0
    )
    weights = parameters_of(after.model)
    assert not torch.equal(weights["model.norm.weight"], start.model.model.norm.weight)
    Delta.load(file).revert(weights)
    assert bits(weights) == bits(parameters_of(start.model))
