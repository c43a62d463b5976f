"""The weights of a model beside those that a folder keeps, tensor by tensor."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor


def stored(folder: Path) -> Iterator[tuple[str, Tensor]]:
    """The tensors of a folder, one at a time: they are never in memory together."""
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, framework="pt") as f:
            for name in f.keys():  # noqa: SIM118 (it is no mapping)
                yield name, f.get_tensor(name)


def stored_pairs(model: Any, folder: Path) -> Iterator[tuple[Tensor, Tensor]]:
    """(before, after) of every stored tensor that a plain model has, too."""
    now = {n: p.detach() for n, p in model.named_parameters(remove_duplicate=False)}
    for name, old in stored(folder):
        new = now.get(name)
        if new is not None and new.shape == old.shape and new.is_floating_point():
            yield old, new


def adapted_pairs(model: Any, folder: Path | None) -> Iterator[tuple[Tensor, Tensor]]:
    """(before, after) of every matrix that carries an adapter: as the base has it (or as the
    earlier adapter in the folder left it), and with it.
    """
    if folder is not None and (folder / "adapter_config.json").exists():
        yield from _earlier(model, folder)
        return
    for module in model.modules():
        if not (hasattr(module, "lora_A") and hasattr(module, "get_delta_weight")):
            continue
        weight = module.get_base_layer().weight
        if "default" in module.lora_A and weight.is_floating_point():
            before = weight.detach()
            with torch.no_grad():
                change = module.get_delta_weight("default").to(weight.dtype)
                yield before, before + change


def _earlier(model: Any, folder: Path) -> Iterator[tuple[Tensor, Tensor]]:
    """(before, after) of the adapter's own matrices."""
    now = {}
    for name, parameter in model.named_parameters():
        if ".lora_" in name:
            bare = re.sub(r"^base_model\.model\.", "", name)
            now[re.sub(r"\.default(?=\.|$)", "", bare)] = parameter.detach()
    for name, old in stored(folder):
        new = now.get(name.removeprefix("base_model.model."))
        if new is not None and new.shape == old.shape:
            yield old, new
