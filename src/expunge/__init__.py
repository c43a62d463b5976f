"""Expunge: make a model forget what it must forget, keep what it should keep, and measure which of
the two happened.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"
_FROM = {
    "train": "expunge.api",
    "unlearn": "expunge.api",
    "evaluate": "expunge.api",
    "attack": "expunge.api",
    "guard": "expunge.api",
    "auto": "expunge.api",
    "load": "expunge.models.causal_lm.load",
    "call": "expunge.core.card",
}
__all__ = ["__version__", *_FROM]


def __getattr__(name: str) -> Any:
    """The verbs, imported when first used: importing expunge costs nothing."""
    if name in _FROM:
        return getattr(import_module(_FROM[name]), name)
    raise AttributeError(f"module 'expunge' has no attribute {name!r}")
