"""What the shared passes find of a row and what they cost: plain data."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


@dataclass
class Read:
    """S1 of one row: arrays [T] in nats; ``top`` holds the arg-max ids (private)."""

    logp: np.ndarray
    hit: np.ndarray | None = None
    rank: np.ndarray | None = None
    mean_logp: np.ndarray | None = None
    var_logp: np.ndarray | None = None
    entropy: np.ndarray | None = None
    top: np.ndarray | None = None


@dataclass
class Cost:
    """What was run: rows and tokens through the model, tokens generated and tokens that S1 had already decided.

    ``written``: texts that were generated, ``limited``: those among them that stopped only at the limit. ``more``: passes beyond S1
    and S2 by kind.
    """

    rows: int = 0
    tokens: int = 0
    generated: int = 0
    spared: int = 0
    written: int = 0
    limited: int = 0
    more: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
