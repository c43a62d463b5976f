"""A model as a torch module: evaluation mode, its decoder blocks, its parameters."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


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


def parameters_of(model: Any) -> dict[str, Tensor]:
    """name -> tensor of every parameter (tied ones once), detached and sharing memory."""
    return {n: p.detach() for n, p in model.named_parameters()}
