"""Exact match: share of outputs equal to the right answer after normalization."""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from typing import Literal

from expunge.core.card import Card
from expunge.core.results import Measurement, Record, Records
from expunge.scoring.aggregate import role_mean
from expunge.scoring.overlap import grams
from expunge.scoring.per_row import before
from expunge.scoring.text import ARTICLES, plain_words

card = Card(
    paper="Rajpurkar et al. 2016 (SQuAD)",
    url="https://arxiv.org/abs/1606.05250",
    where="section 6.1, exact match",
    evidence="oracle",
    better="gold",
    unit="share",
    grows="knowledge",
    needs=("generation",),
    differs="Punctuation of any script goes, SQuAD's script drops ASCII's. An answer that is an "
    "article or marks alone is compared as it "
    "stands: emptied, it would equal every other one that is emptied.",
)


def exact_match(
    records: Records,
    role: str,
    *,
    form: Literal["whole", "within", "letters", "characters"] = "whole",
    behind: str = "",
    until: Sequence[str] = (),
) -> Measurement:
    """Share of rows whose output is the answer (``whole``, the default and what the field calls
    exact match); 0..1.

    Both sides in lower case, without punctuation, articles (a, an, the) and surplus white space, as
    SQuAD's script has them. ``within``: the answer's words stand in the output one after the other,
    which is containment and rewards whoever writes much. ``letters``: equal letter by letter but
    for case and white space at the ends, as SemEval-2025 Task 4 has it. ``characters``: what RWKU's
    code computes for BBH, where an answer is taken for a list of answers: the output, or what
    stands between "the answer is" and the next full stop, equals one character of the answer, both
    as SQuAD's script leaves them. So "24" and "True" can never be right, "(A)" is right if nothing
    is left of the output, and "(B)" for b. Only beside numbers that were made so.

    The best of several right answers counts. An empty output never matches; an answer of marks
    alone must be there mark by mark.
    ``behind``: what counts begins behind the first of these words (the answer is), and is all where
    they are missing. ``until``: the output ends where the first of these begins.
    """

    def score(r: Record) -> float:
        assert r.answer is not None and r.generated is not None
        if form == "characters":
            return float(_is_a_character(r.answer, r.generated))
        said = r.generated.casefold()
        said = before(
            said.partition(behind.casefold())[2] if behind and behind.casefold() in said else said,
            until,
        )
        return float(any(_matches(right, said, form) for right in (r.answer, *(r.also or ()))))

    return role_mean(records, role, "exact_match", score, ("answer", "generated"))


ANSWERED = re.compile(r"[t|T]he answer is (.*?)\.")
MARKS = str.maketrans("", "", string.punctuation)


def _is_a_character(answer: str, said: str) -> bool:
    found = ANSWERED.search(said)
    said = (found.group(1) if found else said).strip() or "NOANSWER"
    return any(_left(character) == _left(said) for character in answer)


def _left(text: str) -> list[str]:
    """The words that SQuAD's script leaves of a text; ASCII punctuation goes."""
    return [w for w in text.lower().translate(MARKS).split() if w not in ARTICLES]


def _matches(answer: str, said: str, form: str) -> bool:
    if form == "letters":
        return bool(answer.strip()) and answer.strip().casefold() == said.strip().casefold()
    true, written = plain_words(answer), plain_words(said)
    if not true:
        signs, others = ("".join(x.split()).rstrip(".") for x in (answer, said))
        return bool(signs) and (signs == others if form == "whole" else signs in others)
    if not all(w in ARTICLES for w in true):
        true, written = ([w for w in side if w not in ARTICLES] for side in (true, written))
    return true == written if form == "whole" else tuple(true) in grams(written, len(true))
