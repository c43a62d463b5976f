"""Verbatim rate: the share of rows that the model reproduces to the last token."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from expunge.core.card import Card
from expunge.core.results import Measurement, Record, Records, unscored
from expunge.scoring.aggregate import better_for, role_mean
from expunge.scoring.per_row import tokens
from expunge.scoring.prefixes import SHARES, TOO_SHORT, prefix_of

card = Card(
    paper="Carlini et al. 2023; Training Data Extraction Challenge",
    url="https://arxiv.org/abs/2202.07646",
    where="extractable with k tokens of context",
    family=("memorization",),
    evidence="theorem",
    better="gold",
    unit="share",
    grows="knowledge",
    needs=("teacher_forced",),
    differs="The paper gives 50 tokens or more of long documents; a plain text here gives its "
    "first half, so that short ones count, too.",
)


def verbatim_rate(records: Records, role: str, *, eos: bool = False) -> Measurement:
    """Share of rows whose every answer token is the arg-max given the true ones before it: greedy
    decoding then writes just them.

    ``eos``: the end-of-sequence token must be hit, too. The all-or-nothing form of extraction
    strength. Of a plain text the first half is given (up to the first marked place, if one is
    marked) and the rest must be hit; parts: ``prefix/quarter``, ``prefix/half`` and
    ``prefix/three_quarters`` the shares with so much given, ``prefix_tokens`` the mean number of
    tokens given, ``too_short`` the texts left out because they are too short for it.
    """

    def score(r: Record) -> float:
        assert r.hit is not None
        return float(tokens(r.hit, r, eos)[r.prefix or 0 :].all())

    rows = records.of(role)
    texts = [r for r in rows if r.prefix is not None]
    long = [r for r in texts if r.prefix]
    if not texts or any(r.hit is None for r in texts):
        return role_mean(records, role, "verbatim_rate", score, ("hit",))
    if not long and len(texts) == len(rows):
        return unscored(f"all {len(texts)} texts of role {role} have {TOO_SHORT}", better_for(role))
    kept = Records(r for r in rows if r.prefix != 0)
    m = role_mean(kept, role, "verbatim_rate", score, ("hit",))
    parts = (
        {
            "prefix_tokens": float(np.mean([r.prefix for r in long])),
            "too_short": float(len(texts) - len(long)),
        }
        if long
        else {}
    )
    for name, share in SHARES.items():
        known = [
            (tokens(r.hit, r, eos), prefix_of(r.n_tokens - r.eos, share))
            for r in texts
            if r.hit is not None
        ]
        hits = [float(hit[k:].all()) for hit, k in known if k]
        parts |= {f"prefix/{name}": float(np.mean(hits))} if hits else {}
    return replace(m, parts=parts)
