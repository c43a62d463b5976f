"""What a stage keeps between steps besides weights and optimizer: a controller's numbers and a combine rule's tensors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from expunge.core.files import unfinished, write_json

NUMBERS, TENSORS = "memory.json", "memory.safetensors"


Memory = dict[str, dict[str, Any]]  # who remembers -> name -> a number or {parameter: tensor}


def keep(memory: Mapping[str, Mapping[str, Any]], folder: Path) -> None:
    """Write the numbers to memory.json and the tensors to memory.safetensors."""
    numbers = {who: {k: v for k, v in held.items() if not isinstance(v, Mapping)} for who, held in memory.items()}
    groups = [(f"{who}/{k}", v) for who, held in memory.items() for k, v in held.items() if isinstance(v, Mapping)]
    tensors = {f"{place}/{n}": t.detach().clone().contiguous() for place, group in groups for n, t in group.items()}
    write_json(folder / NUMBERS, numbers)
    if tensors:
        with unfinished(folder / TENSORS) as part:
            save_file(tensors, part)


def recall(folder: Path, device: torch.device) -> Memory:
    """What ``keep`` wrote; empty if it wrote nothing."""
    if not (folder / NUMBERS).exists():
        return {}
    memory: Memory = json.loads((folder / NUMBERS).read_text())
    if (folder / TENSORS).exists():
        for name, tensor in load_file(folder / TENSORS, device=str(device)).items():
            who, key, parameter = name.split("/", 2)
            memory[who].setdefault(key, {})[parameter] = tensor
    return memory
