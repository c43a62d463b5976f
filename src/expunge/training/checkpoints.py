"""The checkpoint from which a killed stage goes on, with the controller's numbers and the combine
rule's tensors.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from expunge.core.files import remove, unfinished, whole, write_json, write_text
from expunge.core.notes import note

NUMBERS, TENSORS = "memory.json", "memory.safetensors"
STEP = re.compile(r"checkpoint-[0-9]{1,12}")


Memory = dict[str, dict[str, Any]]  # who remembers -> name -> a number or {parameter: tensor}


def keep(memory: Mapping[str, Mapping[str, Any]], folder: Path) -> None:
    """Write the numbers to memory.json and the tensors to memory.safetensors."""
    numbers = {
        who: {k: v for k, v in held.items() if not isinstance(v, Mapping)}
        for who, held in memory.items()
    }
    groups = [
        (f"{who}/{k}", v)
        for who, held in memory.items()
        for k, v in held.items()
        if isinstance(v, Mapping)
    ]
    tensors = {
        f"{place}/{n}": t.detach().clone().contiguous()
        for place, group in groups
        for n, t in group.items()
    }
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


def last_whole(folder: Path) -> Path | None:
    """The newest checkpoint whose every file is as it was written; broken newer ones are removed."""
    ours = [p for p in folder.glob("checkpoint-*") if STEP.fullmatch(p.name)]
    found = sorted(ours, key=lambda p: int(p.name.split("-")[1]), reverse=True)
    for place in found:
        if whole(place):
            return place
        remove(place)
    return None


def trim(log: Path, stage: str, step: int) -> None:
    """Drop what a killed run logged of this stage after the checkpoint that it resumes from.

    Said, whatever else is quiet: lines that no run wrote, and steps before the checkpoint whose
    lines are lost. A last line that the kill cut off belongs to a later step and is no loss.
    """
    text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    lines = text.splitlines()
    entries = [(line, _entry(line)) for line in lines]
    kept = [(line, e) for line, e in entries if e and (e["stage"] != stage or e["step"] <= step)]
    if log.exists():
        write_text(log, "".join(line + "\n" for line, _ in kept))
    cut_off = 0 if text.endswith("\n") else 1
    strange = sum(e is None for _, e in entries[: len(entries) - cut_off])
    lost = step - len({e["step"] for _, e in kept if e["stage"] == stage})
    told = (
        [f"{strange} of its {len(lines)} lines are none that a run wrote and were removed"]
        if strange
        else []
    )
    told += (
        [
            f"the losses of {lost} of the {step} steps before the checkpoint of stage {stage} are "
            f"not there"
        ]
        if lost > 0
        else []
    )
    if told:
        note(
            f"{log} was damaged: {' and '.join(told)}; the training goes on unharmed, its curve of "
            f"losses has a gap"
        )


def _entry(line: str) -> dict[str, Any] | None:
    """A line of the log; None if it was cut off by the kill or is none of ours."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    ours = (
        isinstance(found, dict)
        and isinstance(found.get("stage"), str)
        and isinstance(found.get("step"), int)
    )
    return found if ours else None
