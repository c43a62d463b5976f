"""A model as a torch module: evaluation mode, its decoder blocks, its parameters."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from expunge.core.errors import Refused


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
