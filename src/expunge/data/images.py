"""Pictures as Examples: of scikit-learn's handwritten digits, which come with that library."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from expunge.core.data import Example, Examples, Picture


def picture_of(pixels: np.ndarray) -> Picture:
    """A picture of bytes [H, W] or [H, W, C].

    Raises:
        ValueError: The array is of another type or shape.
    """
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3):
        raise ValueError(f"pixels are bytes [H, W] or [H, W, C], not {pixels.dtype} {pixels.shape}")
    height, width = pixels.shape[:2]
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    return Picture(height, width, channels, np.ascontiguousarray(pixels).tobytes())


def digits() -> Examples:
    """The 1,797 pictures of 8 x 8 pixels in the order of the library, each a group of its own.

    The answer is the name of the class, ``0`` to ``9``; the tags hold it as ``class/3``. The role
    is left open.
    """
    from sklearn.datasets import load_digits

    images, target = load_digits(return_X_y=True)
    pixels = np.rint(images.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    rows = []
    for i, (one, label) in enumerate(zip(pixels, target, strict=True)):
        name = f"digits/{i}"
        rows.append(
            Example(
                name,
                "",
                name,
                str(int(label)),
                tags=(f"class/{int(label)}",),
                source=f"scikit-learn digits:{i}",
                media=picture_of(one),
            )
        )
    return tuple(rows)


def with_role(rows: Examples, role: str) -> Examples:
    """The rows under another role."""
    return tuple(replace(e, role=role) for e in rows)
