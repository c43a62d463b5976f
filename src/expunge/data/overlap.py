"""Rows that stand in two sets at once: to forget and to keep the same row is no request."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence

from expunge.core.data import Example, Examples
from expunge.core.errors import Refused, listed

Pairs = list[tuple[Example, Example]]


def same(text: str) -> str:
    """The text as it is compared: NFC, runs of white space as one space, none at the ends.

    Case and punctuation count.
    """
    return " ".join(unicodedata.normalize("NFC", text).split())


def key_of(example: Example) -> tuple[str, ...]:
    """What makes two rows the same: the text, or all turns and the answer.

    A prompt equals a conversation of that one turn.
    """
    if isinstance(example.media, Mapping) and "answer_ids" in example.media:
        return ("tokens", str(example.media["prompt_ids"]), str(example.media["answer_ids"]))
    if example.text is not None:
        return ("text", same(example.text))
    turns = example.messages or ({"role": "user", "content": example.prompt or ""},)
    return (
        *(same(x) for t in turns for x in (t["role"], t["content"])),
        "assistant",
        same(example.answer),
    )


def overlap(forget: Sequence[Example], retain: Sequence[Example]) -> Pairs:
    """Every (forget row, retain row) that are the same but for Unicode form and white space, in
    order of the retain rows.
    """
    known: dict[tuple[str, ...], Example] = {}
    for e in forget:
        known.setdefault(key_of(e), e)
    return [(known[k], r) for r in retain if (k := key_of(r)) in known]


def drop(forget: Sequence[Example], retain: Sequence[Example]) -> Examples:
    """The retain rows that are not among the forget rows."""
    both = {id(r) for _, r in overlap(forget, retain)}
    return tuple(r for r in retain if id(r) not in both)


def pairs_named(pairs: Pairs) -> str:
    """``a.jsonl:3 = b.jsonl:7, ...``, the first ten."""
    return listed([f"{f.source or f.id} = {r.source or r.id}" for f, r in pairs], 10)


def refusal(pairs: Pairs) -> Refused:
    """The line for rows that stand in forget and in retain: which they are, and the choice."""
    first = pairs[0][0].source or pairs[0][0].id
    return Refused(
        f"{first}: {len(pairs)} retain rows are also forget rows: {pairs_named(pairs)}; "
        "pass --allow-overlap drop to take them out of retain, or --allow-overlap keep to train on "
        "both"
    )


def unseen(holdout: Sequence[Example], seen: Sequence[Example]) -> None:
    """Refused if a holdout row is among the rows a model is trained on: membership scores would
    mean nothing.
    """
    pairs = overlap(holdout, seen)
    if pairs:
        where = pairs[0][0].source or pairs[0][0].id
        raise Refused(
            f"{where}: {len(pairs)} holdout rows are also trained on: {pairs_named(pairs)}; "
            f"--holdout must hold rows that no model saw"
        )
