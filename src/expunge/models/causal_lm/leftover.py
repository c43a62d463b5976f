"""Tensors of a checkpoint that the architecture passes over without a report, and parameters that
no checkpoint gave.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from safetensors import safe_open

# constants that older versions of an architecture stored with the weights and that newer ones
# compute
COMPUTED = re.compile(
    r"(inv_freq|position_ids|masked_bias|attention\.bias|attn\.bias|relative_position_index|packing_position_embedding)$"
)


def stored_names(place: Path) -> set[str]:
    """The names of all tensors in a folder's *.safetensors."""
    names: set[str] = set()
    for file in sorted(place.glob("*.safetensors")):
        with safe_open(file, framework="pt") as f:
            names.update(f.keys())
    return names


def left_behind(names: Iterable[str], model: Any) -> str:
    """One line on the tensors that transformers' own lists let fall, "" if there are none.

    These lists (``_keys_to_ignore_on_load_unexpected``) take what they name out of the report of
    what was unexpected.
    """
    known = set(model.state_dict())
    lost = [
        name
        for name in _matching(names, model, "_keys_to_ignore_on_load_unexpected")
        if name not in known
    ]
    if not lost:
        return ""
    parts = sorted({_part(name) for name in lost})
    shown = ", ".join(parts[:4]) + (" ..." if len(parts) > 4 else "")
    return (
        f"{len(lost)} tensors of the checkpoint ({shown}) are no part of the text model "
        f"{type(model).__name__}: they are neither changed "
        "nor judged, and a model saved from here has them no more"
    )


def never_filled(names: Iterable[str], model: Any) -> list[str]:
    """Parameters that the checkpoint lacks and that transformers' own lists let be made up; tied
    ones count once.
    """
    stored = set(names)
    own = [name for name, _ in model.named_parameters()]
    return [
        name
        for name in _matching(own, model, "_keys_to_ignore_on_load_missing")
        if name not in stored
    ]


def _matching(names: Iterable[str], model: Any, which: str) -> list[str]:
    patterns = [re.compile(pattern) for pattern in getattr(model, which, None) or ()]
    return sorted(
        name
        for name in names
        if not COMPUTED.search(name) and any(p.search(name) for p in patterns)
    )


def _part(name: str) -> str:
    """The part of a model that a tensor belongs to: ``model.visual`` of
    model.visual.blocks.0.norm1.weight.
    """
    words = name.split(".")
    return ".".join(words[:2]) if words[0] in ("model", "language_model") else words[0]
