"""Quantisation: round the weights to few bits, as every deployment does; small changes are rounded away, and with them the forgetting."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Literal

import torch
from torch import Tensor

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
    differs="plain symmetric round-to-nearest per output channel; embeddings and head keep their precision, as in bitsandbytes",
)

NUMBERED = re.compile(r"\.\d+\.")  # only what lies in a block has a block's number in its name; embeddings and heads have none


def rounded(weight: Tensor, bits: int) -> Tensor:
    """Symmetric round-to-nearest of a matrix, one scale per output channel (row): [out, in] -> [out, in].

    The scale is max|w| / (2^(bits-1) - 1); each entry moves by at most half a step; rounding twice changes nothing.
    """
    levels = 2 ** (bits - 1) - 1
    step = (weight.abs().amax(dim=1, keepdim=True) / levels).clamp(min=torch.finfo(weight.dtype).tiny)  # a row of zeros stays one
    return (weight / step).round().clamp(-levels, levels) * step


def quantised_change(start: Mapping[str, Tensor], *, bits: int) -> Changes:
    """rounded(W) - W for every matrix of the blocks."""
    inside = {n: w for n, w in start.items() if w.dim() == 2 and NUMBERED.search(n)}
    return {n: rounded(w.float(), bits) - w.float() for n, w in inside.items()}


def rounding(context: EditContext, *, bits: int) -> Changes:
    """The same of the model that is attacked."""
    return quantised_change(context.weights, bits=bits)


def quantise(bits: Literal[8, 4, 3, 2] = 4) -> Edit:
    """Round every matrix of the blocks to a number of bits.

    bits: 8 or 4 are common in deployment.
    """
    return Edit(f"quantise_{bits}", partial(rounding, bits=bits), recorded=False)
