"""Repetition: the share of a text's token n-grams that occurred before in it."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Gt

from expunge.core.card import Card
from expunge.core.results import Measurement, Record, Records, unscored
from expunge.scoring.aggregate import better_for, role_mean
from expunge.scoring.text import MOST_REPEATED, REPEATED, repetition_of, words

card = Card(
    paper="Liu et al. 2024 (WPU)",
    url="https://arxiv.org/abs/2407.16997",
    where="response quality: unique n-gram ratio",
    family=("fluency",),
    evidence="oracle",
    better="gold",
    unit="share",
    needs=("generation",),
    differs="One minus the ratio of the paper, which counts 4-grams; with n=1 it is one minus "
    "ECO's unique-token ratio. Tokens are "
    "those of the judged model (start token included, as in the authors' code), so models of "
    "different tokenizers are not comparable: "
    "over='words' is. A text too short for an n-gram has 0; the authors' code divides by zero "
    "there.",
)


def repetition(
    records: Records,
    role: str,
    *,
    n: Annotated[int, Gt(0)] = 4,
    over: Literal["tokens", "words"] = "tokens",
) -> Measurement:
    """Mean over rows of 1 - different n-grams / n-grams of the greedy output; 0..1, 0 for outputs
    of fewer than n tokens (or words).

    ``over``: the tokens of the written text as the model's own tokenizer reads it, n up to 8; or
    words and marks, which also a log or a text of unknown tokens has. Short outputs cannot repeat
    themselves: compare texts of like length. Lower is better on what is to be kept.
    """
    rows, better = records.of(role), better_for(role)
    better = "lower" if better == "higher" else better
    key = f"{REPEATED}{n}"
    if over == "tokens" and not 1 <= n <= MOST_REPEATED:
        return unscored(
            f"sequences of 1 to {MOST_REPEATED} tokens are counted, n is {n}; over=words has no "
            f"limit",
            better,
        )
    if over == "tokens" and any(r.generated is not None and key not in r.given for r in rows):
        return unscored(
            "the texts were not written here, and their tokens are not known; over=words counts "
            "words",
            better,
        )

    def score(r: Record) -> float:
        return r.given[key] if over == "tokens" else repetition_of(words(r.generated or ""), n)

    return role_mean(records, role, "repetition", score, ("generated",), kept="lower")
