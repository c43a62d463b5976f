"""A torch module: evaluation mode, its parameters, which of them are trained, its digest."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
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


def digest_tensors(model: torch.nn.Module) -> str:
    """sha256 over names and bytes of every parameter and buffer, for a model that has no files."""
    digest = sha256()
    for name, p in [*model.named_parameters(), *model.named_buffers()]:
        digest.update(name.encode())
        digest.update(p.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
