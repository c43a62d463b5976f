"""Unfinished: the share of texts that ended only because of the token limit."""

from __future__ import annotations

from expunge.core.card import Card
from expunge.core.results import Measurement, Record, Records
from expunge.scoring.aggregate import role_mean

card = Card(
    paper="own",
    url="https://arxiv.org/abs/2506.12618",
    where="a count; the link is open-unlearning's evaluation, whose outputs it counts",
    family=("fluency",),
    evidence="oracle",
    better="gold",
    unit="share",
    needs=("generation",),
)


def unfinished(records: Records, role: str) -> Measurement:
    """Share of greedy outputs that reached the benchmark's limit of new tokens without an end
    token; 0..1, lower is better on what is kept.

    Of a benchmark that cuts answers on purpose (continuations of a text) it says nothing.
    """

    def score(r: Record) -> float:
        return float(bool(r.unfinished))

    return role_mean(records, role, "unfinished", score, ("unfinished",), kept="lower")
