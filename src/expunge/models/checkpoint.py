"""A model's folder before it is read: what may be read of it, onto which device, in which type."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from expunge.core.errors import Refused, listed, no_choice
from expunge.core.files import check_manifest
from expunge.models.ensemble import SETTINGS

CARDS = ("README.md", ".gitattributes")  # for people: may be edited after saving
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def device_of(name: str) -> torch.device:
    """``auto`` is the first GPU, else the CPU. Refused: a device that this machine has not."""
    if name != "auto":
        return _there(name)
    return (
        torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
        if torch.cuda.is_available()
        else torch.device("cpu")
    )


def _there(name: str) -> torch.device:
    try:
        device = torch.device(name)
        there = (
            device.type == "cpu" or (device.index or 0) < getattr(torch, device.type).device_count()
        )
    except (RuntimeError, AttributeError):
        there = False
    if not there:
        raise Refused(
            f"--device {name!r}: there is none on this machine; take auto, cpu, or one of the "
            f"{torch.cuda.device_count()} of cuda"
        )
    return device


def dtype_of(name: str, device: torch.device) -> Any:
    """``auto`` is float32 on a CPU and what the checkpoint holds on a GPU; ``stored`` what it holds
    anywhere.
    """
    if name == "stored":
        return "auto"
    if name == "auto":
        return torch.float32 if device.type == "cpu" else "auto"
    if name not in DTYPES:
        raise no_choice("--dtype", name, ("auto", *DTYPES))
    return DTYPES[name]


def model_folder(place: Path) -> Path:
    """The folder of the model itself: a run's folder stands for the model that it made."""
    inside = place / "model"
    return (
        inside
        if any(
            (inside / name).exists() for name in ("config.json", "adapter_config.json", SETTINGS)
        )
        else place
    )


def check_files(place: Path) -> None:
    """Refuse what must not be read: no weights, pickle weights, a broken or altered safetensors
    file.
    """
    weights = sorted(place.glob("*.safetensors"))
    if not weights:
        pickled = [p.name for p in sorted(place.iterdir()) if p.suffix in PICKLES]
        if pickled:
            raise Refused(
                f"{place}: {pickled[0]} is a pickle, which can run code; convert the weights to "
                f"safetensors"
            )
        if list(place.glob("*.gguf")):
            raise Refused(
                f"{place}: GGUF weights are quantized and not read here; take the safetensors that "
                f"they were made from"
            )
        inside = [p.parent.name for p in sorted(place.glob("*/model"))]
        raise Refused(
            f"{place}: no *.safetensors weights in this folder"
            + (f"; its models are in {listed(inside)}" if inside else "")
        )
    check_manifest(place, lambda name: name not in CARDS)
    for file in weights:
        try:
            with safe_open(file, framework="pt") as f:
                f.keys()
        except (SafetensorError, OSError) as error:
            raise Refused(
                f"{file}: not a whole safetensors file ({type(error).__name__}: {error}); copy it "
                f"again"
            ) from None


def first_line(error: BaseException) -> str:
    """What a library says of a folder, as one line; of a line that ends in a colon, with what it
    announces.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [
        type(error).__name__
    ]
    said = lines[0]
    for line in lines[1:4]:
        if not said.endswith((":", ",")):
            break
        said = f"{said} {line}"
    return said.rstrip(":, ")
