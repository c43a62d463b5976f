"""A model as a torch module: evaluation mode, its decoder blocks, its parameters."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from expunge.core.errors import Refused

# the last matrix of an MLP, as the architectures call it
LAST = ("down_proj", "c_proj", "dense_4h_to_h", "fc2", "fc_out", "ff_out")


@contextmanager
def evaluating(model: nn.Module) -> Iterator[nn.Module]:
    """Evaluation mode without gradients; the mode that was there comes back."""
    before = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield model
    finally:
        model.train(before)


def blocks(model: Any) -> nn.ModuleList:
    """The decoder blocks, in order: the longest ModuleList whose owner is not inside another block."""
    lists = [m for _, m in model.named_modules() if isinstance(m, nn.ModuleList) and len(m) > 0]
    if not lists:
        raise LookupError("no list of decoder blocks found in this model")
    config = getattr(model, "config", None)
    depth = getattr(getattr(config, "get_text_config", lambda: config)(), "num_hidden_layers", None)
    fitting = [m for m in lists if len(m) == depth]
    return fitting[0] if fitting else max(lists, key=len)


@contextmanager
def differentiable(model: nn.Module) -> Iterator[list[Tensor]]:
    """Evaluation mode with gradients of every weight; what was there before comes back.

    Yields:
        The weights, frozen ones among them.
    """
    weights: list[Tensor] = [p for p in model.parameters() if p.is_floating_point()]
    frozen = [p for p in weights if not p.requires_grad]
    before = model.training
    model.eval()
    try:
        for p in frozen:
            p.requires_grad_(True)
        with torch.enable_grad():
            yield weights
    finally:
        for p in frozen:
            p.requires_grad_(False)
        model.train(before)


def unit_output(model: Any, layer: int, unit: int) -> Tensor | None:
    """One column of the last matrix of a block's MLP, float32 [D]: what it puts out for that unit
    alone, adapters included; None if there is no such column.
    """
    if layer >= len(blocks(model)):
        return None
    own: list[Any] = []
    for name, module in blocks(model)[layer].named_modules():
        if name.split(".")[-1] in LAST and "attn" not in name:
            own.append(module)
    if len(own) != 1:  # none, or one for each expert
        return None
    width = int(own[0].in_features if hasattr(own[0], "in_features") else own[0].nx)
    if unit >= width:
        return None
    units = torch.zeros(2, width, dtype=own[0].weight.dtype, device=own[0].weight.device)
    units[0, unit] = 1
    with evaluating(model):
        out = own[0](units).float()
    return out[0] - out[1]  # less the bias


def parameters_of(model: Any) -> dict[str, Tensor]:
    """name -> tensor of every parameter (tied ones once), detached and sharing memory."""
    return {n: p.detach() for n, p in model.named_parameters()}


def select(model: Any, pattern: str) -> None:
    """Train only parameters whose name matches; '' = all (of an adapter: the adapter).

    Raises:
        Refused: none does.
    """
    if not pattern:
        return
    chosen = 0
    for name, p in model.named_parameters():
        p.requires_grad_(bool(re.search(pattern, name)))
        chosen += p.requires_grad
    if not chosen:
        first = next(iter(model.named_parameters()))[0]
        raise Refused(f"no parameter's name matches {pattern!r}; names look like {first}")
