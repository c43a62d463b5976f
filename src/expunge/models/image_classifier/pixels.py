"""Pictures as the numbers that a classifier reads."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from expunge.core.data import Picture
from expunge.core.errors import Refused

FILE = "preprocessor_config.json"


@dataclass(frozen=True)
class Reading:
    """How a picture becomes numbers: scaled to ``size``, to [0, 1], then (x - mean) / std.

    ``size``: (height, width); None leaves pictures as large as they are. ``channels``: 1 reads the
    mean of colors, 3 repeats a gray channel. ``mean`` and ``std``: one number for each channel.
    """

    size: tuple[int, int] | None = None
    channels: int = 3
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.5, 0.5, 0.5)

    def as_json(self) -> dict[str, Any]:
        """The settings as an image processor of transformers names them."""
        size = {"height": self.size[0], "width": self.size[1]} if self.size else None
        return {
            "do_rescale": True,
            "rescale_factor": 1 / 255,
            "do_normalize": True,
            "image_mean": list(self.mean),
            "image_std": list(self.std),
            "do_resize": size is not None,
            **({"size": size} if size else {}),
        }


def reading_of(place: Path, config: Any) -> Reading:
    """How the pictures of a folder's model are read: as its preprocessor's settings say, else by
    the model's configuration with mean and standard deviation .5.

    Raises:
        Refused: The settings cannot be read.
    """
    channels = int(getattr(config, "num_channels", 3))
    own = getattr(config, "image_size", None)
    size = (int(own), int(own)) if isinstance(own, int) else None
    half = (0.5,) * channels
    file = place / FILE
    if not file.exists():
        return Reading(size, channels, half, half)
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
        found = told.get("size") or {}
        if told.get("do_resize", True) and isinstance(found, dict) and "height" in found:
            size = (int(found["height"]), int(found["width"]))
        elif told.get("do_resize", True) and isinstance(found, dict) and "shortest_edge" in found:
            size = (int(found["shortest_edge"]),) * 2
        if not told.get("do_normalize", True):
            return Reading(size, channels, (0.0,) * channels, (1.0,) * channels)
        mean = tuple(float(x) for x in told.get("image_mean", half))
        std = tuple(float(x) for x in told.get("image_std", half))
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise Refused(f"{file}: no settings of an image processor ({error})") from None
    if len(mean) != channels or len(std) != channels or min(std) <= 0:
        raise Refused(f"{file}: image_mean and image_std must have {channels} numbers, std above 0")
    return Reading(size, channels, mean, std)


def pixels_of(pictures: Sequence[Picture], reading: Reading) -> Tensor:
    """Pictures as one float32 tensor [N, C, H, W].

    Raises:
        Refused: They have different sizes, and the model names none.
    """
    shapes = {(p.height, p.width) for p in pictures}
    if reading.size is None and len(shapes) > 1:
        raise Refused(
            f"pictures of {len(shapes)} sizes, and the model's settings name none; give its folder "
            f"a {FILE} with a size"
        )
    groups: dict[tuple[int, int, int], list[int]] = {}
    for i, picture in enumerate(pictures):
        groups.setdefault((picture.height, picture.width, picture.channels), []).append(i)
    if len(groups) == 1:
        return _read(pictures, reading)
    found: list[Tensor] = [torch.empty(0)] * len(pictures)
    for places in groups.values():
        for i, one in zip(places, _read([pictures[i] for i in places], reading), strict=True):
            found[i] = one
    return torch.stack(found)


def _read(pictures: Sequence[Picture], reading: Reading) -> Tensor:
    """Pictures of one shape as [N, C, H, W]."""
    first = pictures[0]
    shape = (len(pictures), first.height, first.width, first.channels)
    raw = torch.frombuffer(bytearray(b"".join(p.data for p in pictures)), dtype=torch.uint8)
    x = raw.view(shape).permute(0, 3, 1, 2).float() / 255
    if first.channels == 1 and reading.channels > 1:
        x = x.expand(-1, reading.channels, -1, -1)
    elif first.channels != reading.channels:
        x = x.mean(1, keepdim=True).expand(-1, reading.channels, -1, -1)
    if reading.size and reading.size != (first.height, first.width):
        x = interpolate(x, size=reading.size, mode="bilinear", antialias=True)
    mean = torch.tensor(reading.mean).view(1, -1, 1, 1)
    std = torch.tensor(reading.std).view(1, -1, 1, 1)
    return (x - mean) / std
