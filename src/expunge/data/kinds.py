"""What rows are: plain texts, questions with answers, prompts with completions, chats, pictures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from expunge.core.data import Example, Picture
from expunge.core.errors import listed
from expunge.data.columns import LITERAL

TEXTS, QUESTIONS, COMPLETIONS, CHATS, TOKENS, PICTURES = (
    "plain texts",
    "questions with answers",
    "prompts with completions",
    "chats",
    "rows given as tokens",
    "pictures with classes",
)


def tokens_of(example: Example) -> Mapping[str, Any]:
    """The tokens of a row that is given as tokens, else nothing."""
    if isinstance(example.media, Mapping) and "answer_ids" in example.media:
        return example.media
    return {}


def kind_of_row(example: Example) -> str:
    """One of the six."""
    if isinstance(example.media, Picture):
        return PICTURES
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


def understood(roles: Mapping[str, Sequence[Example]]) -> str:
    """What rows were taken for, in one line: how many of each role, of which kind, in how many
    groups, from which files.
    """
    told = []
    for role, rows in roles.items():
        if not rows:
            continue
        groups = len({e.group for e in rows})
        grouped = "each a group of its own" if groups == len(rows) else f"in {groups} groups"
        files = []
        for file in dict.fromkeys(e.source.rpartition(":")[0] for e in rows):
            if file:
                files.append(file)
        if len(files) <= 3:
            named = files
        else:
            named = [*files[:2], f"{len(files) - 2} more files"]
        told.append(
            f"{role} {len(rows)} {kinds_of(rows)}, "
            f"{grouped}{f' ({listed(named)})' if named else ''}"
        )
    return f"rows: {'; '.join(told)}"
