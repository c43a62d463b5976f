"""The decoder blocks of a causal language model, and the units of their MLPs."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from expunge.models.modules import evaluating

# the last matrix of an MLP, as the architectures call it
LAST = ("down_proj", "c_proj", "dense_4h_to_h", "fc2", "fc_out", "ff_out")


def blocks(model: Any) -> nn.ModuleList:
    """The decoder blocks, in order: the longest ModuleList whose owner is not inside another block."""
    lists = [m for _, m in model.named_modules() if isinstance(m, nn.ModuleList) and len(m) > 0]
    if not lists:
        raise LookupError("no list of decoder blocks found in this model")
    config = getattr(model, "config", None)
    depth = getattr(getattr(config, "get_text_config", lambda: config)(), "num_hidden_layers", None)
    fitting = [m for m in lists if len(m) == depth]
    return fitting[0] if fitting else max(lists, key=len)


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
