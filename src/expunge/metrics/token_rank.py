"""Token rank: the rank of the right tokens among the whole vocabulary."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import numpy as np
from annotated_types import Gt

from expunge.core.card import Card
from expunge.core.results import Measurement, Record, Records
from expunge.scoring.aggregate import role_mean

card = Card(
    paper="Qiu, Shen et al. 2024 (PISTOL)",
    url="https://arxiv.org/abs/2406.16810",
    where="mean reciprocal rank and top hit rate",
    evidence="oracle",
    better="gold",
    unit="share",
    grows="knowledge",
    needs=("teacher_forced",),
    differs="Ranks are read after the true tokens before them. PISTOL's code reads them off what "
    "the model writes freely, position by "
    "position, and adds the rows of earlier batches again with each batch.",
)


def token_rank(records: Records, role: str, *, top: Annotated[int, Gt(0)] = 100) -> Measurement:
    """Mean over rows of the mean of 1 / rank of the answer's tokens, the likeliest token having
    rank 1; 0..1.

    ``top``: part ``hit_rate`` is the mean share of tokens among so many likeliest. The
    end-of-sequence token does not count; a row that is that token alone keeps it. A uniform model
    over V tokens gives about (ln V + .58) / V.
    """
    m = role_mean(records, role, "token_rank", lambda r: float(np.mean(1.0 / _ranks(r))), ("rank",))
    if m.value is None:
        return m
    hits = [float(np.mean(_ranks(r) <= top)) for r in records.of(role)]
    return replace(m, parts={"hit_rate": float(np.mean(hits))})


def _ranks(r: Record) -> np.ndarray:
    """The ranks of the answer's own tokens, from 1."""
    assert r.rank is not None
    own = r.rank[:-1] if r.eos and len(r.rank) > 1 else r.rank
    return np.asarray(own, dtype=np.float64) + 1
