"""Exact memorisation: the share of answer tokens that are the model's first choice."""

from __future__ import annotations

import numpy as np

from expunge.core.records import Record, Records
from expunge.core.types import Card, Measurement
from expunge.maths.measurements import role_mean
from expunge.maths.scores import tokens

card = Card(
    paper="Tirumala et al. 2022; Dorna et al. 2025",
    url="https://arxiv.org/abs/2506.12618",
    where="memorisation metrics: exact memorisation",
    evidence="reference",
    better="gold",
    needs=("S1",),
    differs="open-unlearning drops the last label whatever it is; here it is dropped only if it is the end-of-sequence token, "
    "which raw text lacks.",
)


def exact_memorisation(records: Records, role: str, *, eos: bool = False) -> Measurement:
    """Mean over rows of the mean of the arg-max hits over the answer's tokens; 0..1. ``eos`` counts the end-of-sequence token."""

    def score(r: Record) -> float:
        assert r.hit is not None
        return float(np.mean(tokens(r.hit, r, eos)))

    return role_mean(records, role, "exact_memorisation", score, ("hit",))
