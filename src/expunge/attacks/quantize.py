"""Quantization: round the weights to few bits, as every deployment does; small changes are rounded
away, and with them the forgetting.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from expunge.core.attack import Attack
from expunge.core.card import Card
from expunge.core.stages import Edit
from expunge.losses.weight_deltas import Changes
from expunge.training.edit import EditContext

card = Card(
    paper="Zhang et al. 2025",
    url="https://arxiv.org/abs/2410.16454",
    where="section 3, round-to-nearest",
    family=("compression",),
    evidence="theorem",
    rights=("weights",),
    defeats="small_change",
    strength=("bits", (8, 4)),
    formerly=("quantise",),
    settings={"meta:builtin": {"bits": 4}},
    differs="plain symmetric round-to-nearest per output channel; embeddings and head keep their "
    "precision, as in bitsandbytes",
)

# Only a parameter of a block has the block's number in its name; embeddings and heads have none.
IN_A_BLOCK = re.compile(r"\.\d+\.")


def rounded(weight: Tensor, bits: int) -> Tensor:
    """Symmetric round-to-nearest of a matrix, one scale per output channel (row): [out, in] ->
    [out, in].

    The scale is max|w| / (2^(bits-1) - 1); each entry moves by at most half a step; rounding twice
    changes nothing.

    Args:
        weight: A matrix.
        bits: Of an entry, sign included.

    Returns:
        The rounded matrix, at the precision of ``weight``.
    """
    levels = 2 ** (bits - 1) - 1
    largest = weight.abs().amax(dim=1, keepdim=True)
    step = (largest / levels).clamp(min=torch.finfo(weight.dtype).tiny)  # a row of zeros stays one
    return (weight / step).round().clamp(-levels, levels) * step


def quantized_change(start: Mapping[str, Tensor], *, bits: int) -> Changes:
    """rounded(W) - W for every matrix of the blocks.

    Args:
        start: Parameters by name.
        bits: Of an entry, sign included.

    Returns:
        What is to be added, by name, in float32; nothing for what is not a matrix of a block.
    """
    changes = {}
    for name, weight in start.items():
        if weight.dim() == 2 and IN_A_BLOCK.search(name):
            changes[name] = rounded(weight.float(), bits) - weight.float()
    return changes


def rounding(context: EditContext, *, bits: int) -> Changes:
    """The same of the model that is attacked."""
    return quantized_change(context.weights, bits=bits)


def quantize(bits: Literal[8, 4, 3, 2] = 4) -> Attack:
    """Round every matrix of the blocks to a number of bits.

    bits: 8 or 4 are common in deployment.
    """
    edit = Edit(f"quantize_{bits}", partial(rounding, bits=bits), recorded=False)
    return Attack(
        "quantize", (edit,), at=f"{bits}-bit", axis="weights", said=f"after rounding to {bits} bits"
    )
