"""Rounding: what must hold of it whatever the weights."""

import pytest
import torch
from zoo import changed, hidden, trained

from expunge.attacks.quantize import quantize, quantized_change, rounded
from expunge.models.modules import parameters_of

BITS = (8, 4, 3, 2)


def matrices():
    """Gaussian, heavy-tailed, one with tiny and huge rows, and the real ones of a trained model."""
    generator = torch.Generator().manual_seed(0)
    plain = torch.randn(24, 40, generator=generator)
    scales = torch.logspace(-20, 20, 24)[:, None]
    own = [
        w
        for n, w in parameters_of(trained("original").model).items()
        if ".layers." in n and w.dim() == 2
    ]
    return [plain, plain.pow(3), plain * scales, *own]


def step_of(w, bits):
    return w.abs().amax(1, keepdim=True) / (2 ** (bits - 1) - 1)


def test_by_hand():
    """3 bits: levels -3 to 3; the largest entry of a row is 3 steps."""
    w = torch.tensor([[3.0, 1.4, -0.6, 0.4], [-0.6, 0.29, 0.11, 0.0]])
    torch.testing.assert_close(
        rounded(w, 3), torch.tensor([[3.0, 1.0, -1.0, 0.0], [-0.6, 0.2, 0.2, 0.0]])
    )


@pytest.mark.parametrize("bits", BITS)
def test_an_entry_moves_by_at_most_half_a_step(bits):
    for w in matrices():
        assert ((rounded(w, bits) - w).abs() <= step_of(w, bits) * (0.5 + 1e-5)).all()


@pytest.mark.parametrize("bits", BITS)
def test_at_most_so_many_values_a_row(bits):
    for w in matrices():
        found = (rounded(w, bits) / step_of(w, bits)).round()
        assert found.abs().amax() == 2 ** (bits - 1) - 1
        assert max(len(row.unique()) for row in found) <= 2**bits - 1


@pytest.mark.parametrize("bits", BITS)
def test_rounding_twice_changes_nothing(bits):
    for w in matrices():
        once = rounded(w, bits)
        torch.testing.assert_close(rounded(once, bits), once, rtol=1e-6, atol=0.0)


def test_fewer_bits_lose_more():
    """Of the whole matrix; a single entry may happen to lie on the coarse grid."""
    for w in matrices():
        lost = [((rounded(w, bits) - w) / step_of(w, 8)).norm() for bits in BITS]
        assert lost == sorted(lost) and lost[0] < lost[1]


@pytest.mark.parametrize("bits", BITS)
def test_rows_of_zeros_and_of_the_smallest_numbers_stay_finite(bits):
    w = torch.tensor(
        [[0.0, 0.0, 0.0], [1e-38, -1e-38, 0.0], [1e-44, 0.0, -1e-44], [1e38, -3e38, 0.0]]
    )
    new = rounded(w, bits)
    assert torch.isfinite(new).all() and (new[0] == 0).all()
    assert (new.sign() * w.sign() >= 0).all()


def test_only_matrices_of_the_blocks_change():
    before = parameters_of(trained("original").model)
    after = parameters_of(changed(trained("original"), quantize(4).stages).model)
    moved = {n for n in before if not torch.equal(before[n], after[n])}
    assert moved == {n for n, w in before.items() if ".layers." in n and w.dim() == 2}
    assert "model.embed_tokens.weight" not in moved and len(moved) == 3 * 7


OUTSIDE = (
    "transformer.wte.weight",
    "transformer.wpe.weight",
    "gpt_neox.embed_in.weight",
    "embed_out.weight",
    "output.weight",
    "lm_head.weight",
)


@pytest.mark.parametrize("name", OUTSIDE)
def test_embeddings_and_heads_of_any_name_keep_their_precision(name):
    w = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
    inside = {"transformer.h.0.attn.c_proj.weight": w, "gpt_neox.layers.11.mlp.dense.weight": w}
    assert set(quantized_change(inside | {name: w}, bits=4)) == set(inside)


def test_a_change_of_less_than_half_a_step_is_undone_entry_by_entry():
    """The zoo's hiding moved weights, all by less than half a step; rounding gives the very weights
    from before.
    """
    base, nudged = (parameters_of(s.model) for s in hidden("small_change"))
    back = parameters_of(changed(hidden("small_change")[1], quantize(4).stages).model)
    assert any(not torch.equal(base[n], nudged[n]) for n in base)
    for n in base:
        torch.testing.assert_close(back[n], base[n], rtol=1e-6, atol=0.0)


def test_half_precision_weights_are_rounded_from_their_own_values():
    w = torch.randn(6, 10, generator=torch.Generator().manual_seed(0)).bfloat16()
    delta = quantized_change({"model.layers.0.mlp.up_proj.weight": w}, bits=4)[
        "model.layers.0.mlp.up_proj.weight"
    ]
    assert delta.dtype == torch.float32
    torch.testing.assert_close(w.float() + delta, rounded(w.float(), 4))
