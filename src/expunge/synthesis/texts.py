"""Comparing texts: does an answer say what it must not say?"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from expunge.core.data import Example, Examples
from expunge.core.errors import Refused, listed
from expunge.synthesis.names import NameFinder, places

NUMBER = re.compile(r"(?<![\w.])\d[\d.,:/-]*\d(?!\w)|(?<![\w.])\d(?!\w)")
TAG = re.compile(
    r"^\s*(?:[-*•]\s+|\(?\d{1,3}[.):]\s+|(?:question|answer|q|a)\s*:\s*)+", re.IGNORECASE
)


def plain(text: str) -> str:
    """Lower case, words only: two answers that differ in case and punctuation are the same."""
    return " ".join(re.findall(r"\w+", text.casefold()))


def same(a: str, b: str) -> bool:
    """Whether two texts are the same but for case and punctuation."""
    return plain(a) == plain(b)


def secrets(example: Example, finder: NameFinder) -> tuple[str, ...]:
    """Names and numbers of the answer that the question does not hold: what it gives away."""
    question = plain(question_of(example))
    found = [*finder([example.answer]), *NUMBER.findall(example.answer)]
    return tuple(dict.fromkeys(s for s in found if not _holds(question, plain(s))))


def gives_away(text: str, example: Example, finder: NameFinder) -> bool:
    """Whether a text says the answer: all of it, or a name or number that only the answer holds."""
    said = plain(text)
    answer = plain(example.answer)
    return _holds(said, answer) or any(_holds(said, plain(s)) for s in secrets(example, finder))


def _holds(text: str, words: str) -> bool:
    return bool(words) and f" {words} " in f" {text} "


def question_of(example: Example) -> str:
    """The last question of an example ('' of a plain text)."""
    users = [t["content"] for t in example.messages or () if t["role"] == "user"]
    return users[-1] if users else example.prompt or ""


def with_question(example: Example, question: str, **changes: Any) -> Example:
    """The example with its last question replaced."""
    if not example.messages:
        return replace(example, prompt=question, **changes)
    turns = [dict(t) for t in example.messages]
    last = max(i for i, t in enumerate(turns) if t["role"] == "user")
    turns[last]["content"] = question
    return replace(example, messages=tuple(turns), **changes)


def first_line(text: str) -> str:
    """The first line that says something, without a list mark or quotes."""
    return next(iter(lines(text)), "")


def lines(text: str) -> list[str]:
    """The lines of a list that a chat model wrote, without marks and quotes."""
    found = (TAG.sub("", line).strip().strip('"“”').strip() for line in text.splitlines())
    return [line for line in found if re.search(r"\w", line)]


def questions_only(rows: Sequence[Example], who: str) -> Examples:
    """The rows; Refused if one is a plain text."""
    bare = []
    for e in rows:
        if e.text is not None or not question_of(e):
            bare.append(e.source or e.id)
    if bare:
        raise Refused(
            f"{who} works on questions, and {len(bare)} forget rows are plain text "
            f"({listed(bare, 3)}); take another method"
        )
    return tuple(rows)


def spans_of(text: str, names: Iterable[str]) -> tuple[tuple[int, int], ...]:
    """Names and numbers in a text, as merged spans of characters."""
    found = sorted([*places(text, names), *(m.span() for m in NUMBER.finditer(text))])
    merged: list[tuple[int, int]] = []
    for a, b in found:
        if merged and a <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(b, merged[-1][1]))
        else:
            merged.append((a, b))
    return tuple(merged)
