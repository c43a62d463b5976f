"""Memorization accuracy: share of tokens that are most likely after the true tokens before them."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from annotated_types import Gt

from expunge.core.card import Card
from expunge.core.results import Measurement, Record, Records
from expunge.scoring.aggregate import role_mean
from expunge.scoring.per_row import tokens

card = Card(
    paper="Jang et al. 2023",
    url="https://arxiv.org/abs/2210.01504",
    where="section 3.2, memorization accuracy",
    family=("memorization",),
    evidence="theorem",
    better="gold",
    unit="share",
    grows="knowledge",
    needs=("teacher_forced",),
    differs="Of rows with a prompt only the answer's tokens count. The authors call generate once "
    "a token; teacher forcing gives the "
    "same bits in one pass. They take a text as forgotten below the mean of unseen texts (0.2994 "
    "for GPT-Neo).",
    formerly=("memorisation_accuracy",),
)


def memorization_accuracy(
    records: Records, role: str, *, window: Annotated[int, Gt(0)] = 200, eos: bool = False
) -> Measurement:
    """Mean over rows of the arg-max hits over the first ``window`` scored tokens (0: all); of a raw
    text every token but the first is scored. 0..1.

    ``eos`` counts the end-of-sequence token that closes an answer. With window=0 on questions it is
    ``exact_memorization``.
    """

    def score(r: Record) -> float:
        assert r.hit is not None
        return float(np.mean(tokens(r.hit, r, eos)[: window or None]))

    return role_mean(records, role, "memorization_accuracy", score, ("hit",))
