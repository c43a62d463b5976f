"""Content filter: refuse a request, or withhold an answer, that holds words of the forget rows."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Annotated, Any, Literal

import numpy as np
from annotated_types import Interval

from expunge.core.card import Card
from expunge.core.data import Example, Examples
from expunge.core.errors import Refused
from expunge.core.guard import Guard, GuardState
from expunge.scoring.fingerprints import fingerprint, key_of, most, threshold_for, unlisted

card = Card(
    paper="Thaker et al. 2024",
    url="https://arxiv.org/abs/2403.03329",
    where="input and output filters",
    family=("filter",),
    evidence="oracle",
    claims="suppresses",
    rights=("text",),
    settings={"builtin": {"false_alarms": 0.06}},
    differs="The paper's filters are keywords, a classifier or a model that judges; this one lists "
    "the word n-grams that forget rows and no retain row have, as keyed hashes. It sees through "
    "case, accents, marks and invisible characters. It is defeated by a paraphrase without the "
    "names, a translation, an encoding, letters spelled out, and by whoever has the weights, which "
    "hold all they held before. A refusal tells that a subject was to be forgotten.",
)


def content_filter(
    ngram: Annotated[int, Interval(ge=1, le=8)] = 3,
    false_alarms: Annotated[float, Interval(ge=0, lt=1)] = 0.01,
    check: Literal["both", "requests", "answers"] = "both",
    refusal: str = "I don't know.",
) -> Guard:
    """A text that holds an n-gram of enough forget rows, and of no retain row, is refused.

    ngram: the longest n-gram, in words.
    false_alarms: the share of retain questions, and of retain answers, that may be refused; half of
        the retain groups, kept out of the list until then, decide in how many forget rows an n-gram
        must be for that.
    check: whether requests are refused, or answers withheld, or both.
    refusal: what is said.
    """
    requests, answers = check != "answers", check != "requests"
    return Guard(
        "content_filter",
        fit=partial(fitted, ngram=ngram, false_alarms=false_alarms),
        scope=partial(reaches, side="request") if requests else None,
        reply=partial(said, refusal=refusal) if requests else None,
        text=partial(checked, refusal=refusal) if answers else None,
    )


def said(state: GuardState, request: str, *, refusal: str) -> str:
    """The refusal, whatever was asked."""
    return refusal


def checked(state: GuardState, request: str, draft: str, *, refusal: str) -> str:
    """The draft, or the refusal in its place."""
    return refusal if reaches(state, draft, side="answer") else draft


def reaches(state: GuardState, text: str, *, side: str) -> bool:
    """Whether a text holds a listed n-gram of enough forget rows, for a request or an answer."""
    own = fingerprint(text, state.arrays["key"].tobytes(), int(state.facts["ngram"]))
    met = np.isin(state.arrays["listed"], np.fromiter(own, dtype=np.uint64, count=len(own)))
    return bool((state.arrays["rows"][met] >= state.facts[side]["rows"]).any())


def texts_of(row: Example) -> tuple[str, str]:
    """(request, answer) of a row; a plain text is both."""
    if row.text is not None:
        return row.text, row.text
    turns = "\n".join(str(turn["content"]) for turn in row.messages or ())
    return row.prompt or turns, row.answer


def fitted(forget: Examples, retain: Examples, *, ngram: int, false_alarms: float) -> GuardState:
    """The n-grams of the forget rows that no retain row has, each with how many rows have it, and
    how many are needed.

    Raises:
        Refused: There are no rows of one of the two sides, or the forget rows have no n-gram of
            their own.
    """
    if not forget or not retain:
        raise Refused(
            "content_filter needs forget rows and retain rows; give --forget and --retain"
        )
    key = key_of(text for row in forget for text in texts_of(row))
    gone = [[fingerprint(text, key, ngram) for text in texts_of(row)] for row in forget]
    kept = [[fingerprint(text, key, ngram) for text in texts_of(row)] for row in retain]
    tuned = set(list(dict.fromkeys(row.group for row in retain))[1::2])
    unseen = [prints for row, prints in zip(retain, kept, strict=True) if row.group in tuned]
    seen = [prints for row, prints in zip(retain, kept, strict=True) if row.group not in tuned]
    every = Counter(gram for request, answer in gone for gram in request | answer)
    without_seen = unlisted(every, seen)
    listed = unlisted(every, kept)
    if not listed:
        raise Refused("content_filter: the retain rows have every word of the forget rows")
    facts: dict[str, Any] = {"ngram": ngram, "listed": len(listed)}
    for place, side in enumerate(("request", "answer")):
        alarms = [most(without_seen, prints[place]) for prints in unseen]
        needed = threshold_for(alarms, false_alarms)
        caught = [most(listed, prints[place]) >= needed for prints in gone]
        facts[side] = {"rows": needed, "forget": len(caught), "forget triggered": sum(caught)}
        triggered = sum(count >= needed for count in alarms)
        facts[side] |= {"retain": len(alarms), "retain triggered": triggered}
    grams = sorted(listed)
    arrays: dict[str, np.ndarray] = {
        "key": np.frombuffer(key, dtype=np.uint8),
        "listed": np.array(grams, dtype=np.uint64),
        "rows": np.array([listed[gram] for gram in grams], dtype=np.int64),
    }
    return GuardState(arrays, facts)
