"""Extraction strength: the share of the answer's end that the model completes, given the rest."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from expunge.core.card import Card
from expunge.core.results import Measurement, Record, Records
from expunge.scoring.aggregate import role_mean
from expunge.scoring.per_row import hits_at_the_end, longest_hit_suffix, tokens

card = Card(
    paper="Carlini et al. 2021; Dorna et al. 2025",
    url="https://arxiv.org/abs/2506.12618",
    where="memorization metrics: extraction strength",
    evidence="reference",
    better="gold",
    unit="share",
    grows="knowledge",
    needs=("teacher_forced",),
    differs="open-unlearning never reaches 0: a row whose last token is missed still scores 1/N "
    "(retrained small checkpoint: "
    ".0307 instead of .0096); floor=True gives its form, and logs in its format hold it. It leaves "
    "out the last label "
    "whatever it is, which in a text without an end-of-sequence token is a word: last=False.",
)


def extraction_strength(
    records: Records, role: str, *, eos: bool = False, floor: bool = False, last: bool = True
) -> Measurement:
    """Mean over rows of (longest suffix of arg-max tokens) / N, N the answer's tokens; 0..1, 0 when
    the last one is missed.

    A teacher-forced suffix of arg-max tokens is exactly what greedy decoding from there would
    write. ``eos`` counts the end-of-sequence token (easy to guess, so it decides the value).
    ``floor`` gives at least 1/N. ``last=False`` leaves out the last token whatever it is. One wrong
    token at the end, a full stop even, makes a row 0. Parts, where the rows hold their hits: the
    same mean of (arg-max tokens within the longest suffix that misses at most so many) / N, what is
    missed not counted and ``floor`` not used. ``one_missed``: one token at most; ``tenth_missed``:
    at most a tenth of the suffix. Both are at least the value, and 0 when nothing was hit.
    """

    def score(r: Record) -> float:
        assert r.hit is not None
        hit = tokens(r.hit, r, eos, last)
        return max(longest_hit_suffix(hit), int(floor)) / len(hit)

    m, rows = role_mean(records, role, "extraction_strength", score, ("hit",)), records.of(role)
    if m.value is None or any(r.hit is None for r in rows):  # a log gives the value alone
        return m
    hits = [tokens(r.hit, r, eos, last) for r in rows if r.hit is not None]
    allowed = {"one_missed": (1, 0.0), "tenth_missed": (0, 0.1)}
    parts = {
        name: float(np.mean([hits_at_the_end(h, n, share) / len(h) for h in hits]))
        for name, (n, share) in allowed.items()
    }
    return replace(m, parts=parts)
