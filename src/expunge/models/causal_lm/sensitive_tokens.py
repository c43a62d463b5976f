"""Which tokens of an answer hold characters of its sensitive spans."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from expunge.core.data import Row
from expunge.core.errors import Refused
from expunge.models.causal_lm.answer_spans import Ask, Tokens


def own(ask: Ask) -> bool:
    """Whether the answer asked for is the one that the example's spans speak of."""
    return ask.variant == "answer" or ask.variant.startswith("question/")


def marked(tokens: Tokens, ask: Ask, rows: list[Row]) -> list[Row]:
    """The rows of one example with a weight per token: 1 where it holds a character of a span, 0
    elsewhere and at the end token.
    """
    bad = [s for s in ask.example.spans if not 0 <= s[0] < s[1] <= len(ask.answer)]
    if bad:
        raise Refused(
            f"{ask.where}: the span {bad[0][0]} to {bad[0][1]} is not inside the answer of "
            f"{len(ask.answer)} characters"
        )
    places = [
        [i for i, yes in enumerate(row.scored) if yes][: -1 if row.eos else None] for row in rows
    ]
    # without bos a text's first token is read but not scored
    first = rows[0].ids[:1] if not ask.turns and not tokens.head else ()
    ids = [*first, *(row.ids[i] for row, at in zip(rows, places, strict=True) for i in at)]
    marks = iter(
        [
            any(a < end and start < b for a, b in ask.example.spans)
            for start, end in _stands(tokens, ask, ids)
        ][len(first) :]
    )
    made = []
    for row, at in zip(rows, places, strict=True):
        weights = [0.0] * len(row)
        for i in at:
            weights[i] = float(next(marks))
        made.append(replace(row, weights=tuple(weights)))
    return made


def _stands(tokens: Tokens, ask: Ask, ids: Sequence[int]) -> list[tuple[int, int]]:
    """(first, behind the last) character of the answer for each of its tokens: what the text grows
    by when the token is added.

    A token that is part of a character counts as that character. Refused if the tokens do not spell
    the answer (a tokenizer that changes texts), since then nobody knows where a span is.
    """
    say = lambda n: tokens.tokenizer.decode(
        list(ids[:n]), skip_special_tokens=False, clean_up_tokenization_spaces=False
    )
    whole = say(len(ids))
    if whole.strip() != ask.answer.strip():
        raise Refused(
            f"{ask.where}: the tokenizer changes this answer, so its sensitive spans cannot be "
            f"found in its tokens"
        )
    shift = (len(ask.answer) - len(ask.answer.lstrip())) - (len(whole) - len(whole.lstrip()))
    ends = [len(say(n).rstrip("\ufffd")) + shift for n in range(len(ids) + 1)]
    return [(a, max(b, a + 1)) for a, b in pairwise(ends)]
