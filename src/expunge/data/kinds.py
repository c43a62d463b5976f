"""What rows are: plain texts, questions with answers, prompts with completions, or chats."""

from __future__ import annotations

from collections.abc import Iterable

from expunge.core.errors import listed
from expunge.core.types import Example
from expunge.data.columns import LITERAL
from expunge.data.given import tokens_of

TEXTS, QUESTIONS, COMPLETIONS, CHATS, TOKENS = (
    "plain texts",
    "questions with answers",
    "prompts with completions",
    "chats",
    "rows given as tokens",
)


def kind_of_row(example: Example) -> str:
    """One of the five."""
    if tokens_of(example):
        return TOKENS
    if example.text is not None:
        return TEXTS
    if example.messages:
        return CHATS
    return COMPLETIONS if LITERAL in example.tags else QUESTIONS


def kinds_of(examples: Iterable[Example]) -> str:
    """The kinds of some rows, in order of first appearance: ``plain texts, chats``."""
    return listed(dict.fromkeys(map(kind_of_row, examples)))
