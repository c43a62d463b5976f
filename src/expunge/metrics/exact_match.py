"""Exact match: the share of questions whose right answer is what the model wrote, or stands in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from expunge.core.records import Record, Records
from expunge.core.types import Card, Measurement
from expunge.maths.measurements import role_mean
from expunge.maths.overlap import grams
from expunge.maths.scores import before
from expunge.maths.texts import plain_words

card = Card(
    paper="Rajpurkar et al. 2016 (SQuAD)",
    url="https://arxiv.org/abs/1606.05250",
    where="section 6.1, exact match",
    evidence="oracle",
    better="gold",
    needs=("S2",),
    differs="Words of any script, case and punctuation aside; articles stay.",
)


def exact_match(
    records: Records, role: str, *, form: Literal["within", "whole"] = "within", behind: str = "", until: Sequence[str] = ()
) -> Measurement:
    """Share of rows where the answer's words are the output's (``whole``) or stand in it one after the other (``within``); 0..1.

    The best of several right answers counts. An empty output never matches; an answer of marks alone must be there mark by mark.
    ``behind``: what counts begins behind the first of these words (the answer is), and is all where they are missing. ``until``: the output
    ends where the first of these begins.
    """

    def score(r: Record) -> float:
        assert r.answer is not None and r.generated is not None
        said = r.generated.casefold()
        said = before(said.partition(behind.casefold())[2] if behind and behind.casefold() in said else said, until)
        return float(any(_matches(right, said, form) for right in (r.answer, *(r.also or ()))))

    return role_mean(records, role, "exact_match", score, ("answer", "generated"))


def _matches(answer: str, said: str, form: str) -> bool:
    true, written = plain_words(answer), plain_words(said)
    if not true:
        signs, others = ("".join(x.split()).rstrip(".") for x in (answer, said))
        return bool(signs) and (signs == others if form == "whole" else signs in others)
    return true == written if form == "whole" else tuple(true) in grams(written, len(true))
