"""Exact memorization: the share of answer tokens that are the model's first choice."""

from __future__ import annotations

import numpy as np

from expunge.core.card import Card
from expunge.core.results import Measurement, Record, Records
from expunge.scoring.aggregate import role_mean
from expunge.scoring.per_row import tokens

card = Card(
    paper="Tirumala et al. 2022; Dorna et al. 2025",
    url="https://arxiv.org/abs/2506.12618",
    where="memorization metrics: exact memorization; evals/metrics/utils.py, "
    "tokenwise_vocab_logprobs",
    evidence="reference",
    better="gold",
    unit="share",
    grows="knowledge",
    needs=("teacher_forced",),
    differs="Tirumala et al. count every token of a text. open-unlearning leaves out the last "
    "label, meant to be the "
    "end-of-sequence token, whatever it is: last=False gives its form. Here the last label goes "
    "only where it is an "
    "end-of-sequence token that closes the row.",
    formerly=("exact_memorisation",),
)


def exact_memorization(
    records: Records, role: str, *, eos: bool = False, last: bool = True
) -> Measurement:
    """Mean over rows of the share of the answer's tokens that are the arg-max after the true tokens
    before them; 0..1.

    ``eos``: whether the end-of-sequence token that closes a row counts; a row that is that token
    alone keeps it. ``last=False`` leaves out the last token whatever it is, and then ``eos`` has no
    say.
    """

    def score(r: Record) -> float:
        assert r.hit is not None
        return float(np.mean(tokens(r.hit, r, eos, last)))

    return role_mean(records, role, "exact_memorization", score, ("hit",))
