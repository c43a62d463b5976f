"""Logit lens: likelihood of the answer read off each layer by the final norm and head."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from expunge.core.card import Card
from expunge.core.results import Measurement, Record, Records
from expunge.scoring.aggregate import role_mean
from expunge.scoring.representation import layers_of

card = Card(
    paper="nostalgebraist 2020; Schwinn et al. 2024; Lee et al. 2026 (UDS) as a baseline",
    url="https://arxiv.org/abs/2605.24614",
    where="intermediate layers decoded with the final norm and the head",
    family=("internals",),
    evidence="oracle",
    better="gold",
    unit="share",
    grows="knowledge",
    needs=("teacher_forced", "logit_lens"),
    differs="Absolute probabilities; the baseline of the UDS paper sets them in proportion to the "
    "original's and gold's. The embedding "
    "attack's code leaves out the final norm; here it is applied.",
)


def logit_lens(records: Records, role: str, *, layers: tuple[int | float, ...] = ()) -> Measurement:
    """Mean over rows of the best layer's answer probability exp(mean log p), the end-of-sequence
    token left out; 0..1.

    ``layers``: fractions of the depth (0.5) or blocks (16); empty means all. ``parts`` has the mean
    of every layer (``layer/16``), and the last block's is the model's own probability. One forward
    a row and the head once a layer.
    """

    def each(r: Record) -> np.ndarray:
        logp: np.ndarray = r.observed["lens"]
        return np.exp(logp.astype(np.float64))[layers_of(layers, len(logp))]

    m = role_mean(records, role, "logit_lens", lambda r: float(each(r).max()), ("lens",))
    found = [r.observed["lens"] for r in records.of(role) if "lens" in r.observed]
    if m.value is None or not found:
        return m
    means = np.exp(np.asarray(found, dtype=np.float64)).mean(0)
    return replace(m, parts={f"layer/{i}": float(means[i]) for i in layers_of(layers, len(means))})
