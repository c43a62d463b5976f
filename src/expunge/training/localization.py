"""Which weights may move: found before a stage's first step, from gradients of its data or from
what its layers do.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from expunge.core.errors import Refused
from expunge.core.files import unfinished, write_json
from expunge.core.stages import Descent
from expunge.models.base import TrainableModel
from expunge.training.edit import EditContext
from expunge.training.sampler import Unit
from expunge.training.teachers import Frozen


def first_epoch(stage: Descent, steps: Sequence[Sequence[Unit]]) -> list[Unit]:
    """Every anchor row once, with the partners of its first meeting."""
    met: dict[str, Unit] = {}
    for units in steps:
        for unit in units:
            met.setdefault(unit[stage.anchor].id, unit)
    return list(met.values())


def located(
    model: TrainableModel,
    stage: Descent,
    steps: Sequence[Sequence[Unit]],
    frozen: Frozen,
    seed: int,
    folder: Path,
) -> Mapping[str, Tensor]:
    """The masks of entries that may move, for tensors that move in part; tensors that do not move
    at all are frozen here.

    Kept in ``folder``, so that a resumed stage moves the same weights. Refused if nothing is left
    to train.
    """
    kept, partial = folder / "located.json", folder / "located.safetensors"
    if kept.exists():
        whole = json.loads(kept.read_text())
        masks = load_file(partial) if partial.exists() else {}
    else:
        assert stage.locate is not None
        found = stage.locate(
            EditContext(model, seed=seed, units=first_epoch(stage, steps), frozen=frozen)
        )
        whole = {n: bool(torch.as_tensor(m).any()) for n, m in found.items()}
        masks = {
            n: m.bool().cpu()
            for n, m in found.items()
            if isinstance(m, Tensor) and m.dim() and m.any() and not m.all()
        }
        if masks:
            with unfinished(partial) as part:
                save_file(masks, part)
        write_json(kept, whole)
    for name, p in model.module.named_parameters():
        p.requires_grad_(p.requires_grad and whole.get(name, False))
    if not any(p.requires_grad for p in model.module.parameters()):
        raise Refused(
            f"stage {stage.name}: no weight was located as one that may move; loosen the method's "
            f"thresholds"
        )
    return masks
