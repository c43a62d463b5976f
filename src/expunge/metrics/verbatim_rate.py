"""Verbatim rate: the share of rows that the model reproduces to the last token."""

from __future__ import annotations

from expunge.core.records import Record, Records
from expunge.core.types import Card, Measurement
from expunge.maths.measurements import role_mean
from expunge.maths.scores import tokens

card = Card(
    paper="Carlini et al. 2023; Training Data Extraction Challenge",
    url="https://arxiv.org/abs/2202.07646",
    where="extractable with k tokens of context",
    family=("memorisation",),
    evidence="theorem",
    better="gold",
    unit="share",
    grows="knowledge",
    needs=("S1",),
)


def verbatim_rate(records: Records, role: str, *, eos: bool = False) -> Measurement:
    """Share of rows whose every answer token is the arg-max given the true ones before it: greedy decoding then writes just them.

    ``eos``: the end-of-sequence token must be hit, too. The all-or-nothing form of extraction strength.
    """

    def score(r: Record) -> float:
        assert r.hit is not None
        return float(tokens(r.hit, r, eos).all())

    return role_mean(records, role, "verbatim_rate", score, ("hit",))
