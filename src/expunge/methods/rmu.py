"""RMU: steer hidden states of forget rows to a random direction and keep those of retain rows."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal

import torch
from annotated_types import Ge, Gt
from torch import Tensor

from expunge.core.card import Card
from expunge.core.stages import Descent, Term
from expunge.losses.inputs import LossInputs, total

card = Card(
    paper="Li et al. 2024",
    url="https://arxiv.org/abs/2403.03218",
    where="section 4, equations 1-3",
    family=("representation",),
    settings={
        # authors' command for Zephyr-7B (c 6.5, alpha 1200, layer 7) and rmu/unlearn.py, read in
        # a copy: one rate throughout, transformers' AdamW without weight decay, no clipping;
        # steps are reconstructed: 150 batches in the command as others quote it
        "wmdp": {
            "lr": 5e-5,
            "steps": 150,
            "batch": 4,
            "schedule": "constant",
            "weight_decay": 0.0,
            "clip": 0.0,
        },
        "builtin": {
            "lr": 2e-3,
            "steps": 60,
            "batch": 16,
            "layer": 2,
            "steering": 50.0,
            "retain_weight": 20.0,
            "trained": "all",
        },
    },
    tune={"lr": (1e-3, 2e-3), "steering": (20.0, 50.0), "retain_weight": (20.0, 60.0)},
    differs="hidden states of answer tokens only (all tokens of raw text rows), padding never; one "
    "topic",
    evidence="reference",
    claims="moves_hidden",
)


def control(width: int, seed: int, like: Tensor) -> Tensor:
    """A unit vector from Uniform[0, 1]^D, drawn from the run's seed: [D]."""
    u = torch.rand(width, generator=torch.Generator().manual_seed(seed))
    return (u / u.norm()).to(like)


def rmu_forget_term(
    p: LossInputs, *, layer: int, steering: float, direction: Tensor | None = None
) -> Tensor:
    """Sum over answer tokens of mean_d (h - c u)^2 at the output of block ``layer``: [B, T, D] ->
    [B].
    """
    h = p.hidden[layer]
    u = control(h.shape[-1], p.seed, h) if direction is None else direction
    return total((h - steering * u).pow(2).mean(-1), p.mask)


def rmu_retain_term(p: LossInputs, *, layer: int) -> Tensor:
    """Sum over answer tokens of mean_d (h - h_start)^2 at the output of block ``layer``: [B, T, D]
    -> [B].
    """
    return total((p.hidden[layer] - p.start_hidden[layer]).pow(2).mean(-1), p.mask)


def rmu(
    layer: Annotated[int, Ge(0)] = 7,
    steering: Annotated[float, Gt(0)] = 6.5,
    retain_weight: Annotated[float, Ge(0)] = 1200.0,
    trained: Literal["down_proj", "all"] = "down_proj",
) -> Descent:
    """Representation misdirection. The forward and the backward stop at the block.

    layer: index of the block whose output is steered (0 is the first).
    steering: length of the vector that forget states are drawn to.
    retain_weight: coefficient of the distance to the start states on retain rows.
    trained: down_proj trains the MLP output matrices of blocks layer-2 to layer, as the paper does;
        all trains every parameter.
    """
    forget = Term(
        "forget",
        partial(rmu_forget_term, layer=layer, steering=steering),
        ("forget",),
        "tok",
        frozenset({f"hidden:{layer}"}),
    )
    needs = frozenset({f"hidden:{layer}", f"start_hidden:{layer}"})
    retain = Term("retain", partial(rmu_retain_term, layer=layer), ("retain",), "tok", needs)
    near = "|".join(str(i) for i in range(max(0, layer - 2), layer + 1))
    select = rf"\.({near})\.mlp\.down_proj\.weight$" if trained == "down_proj" else ""
    return Descent("rmu", (forget, retain_weight * retain), select=select)
