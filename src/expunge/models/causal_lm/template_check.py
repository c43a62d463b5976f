"""What stands in a row is compared with what the chat template wrote of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from expunge.core.errors import Refused
from expunge.core.notes import note
from expunge.models.causal_lm.chat_template import Turn, Turns, roles_of, unwritten


def check_turns(
    tokenizer: Any | None, asked: Sequence[tuple[str, Turns]], prompts: Sequence[str], parts: bool
) -> None:
    """Look for the text of every turn in its prompt.

    Args:
        tokenizer: the one whose chat template wrote the prompts; None where there is no template.
        asked: (where the row stands, its turns), one per prompt.
        prompts: what was written.
        parts: the template was given contents as lists of parts.

    A line (``core.notes``) says which turns were left aside or changed, how often and where first.
    Refused by file:line: a template that writes no text of a user's turn, so that nothing would be
    asked.
    """
    aside: dict[str, list[str]] = {}
    dropped: dict[tuple[str, ...], list[int]] = {}
    for (where, turns), prompt in zip(asked, prompts, strict=True):
        missing = [i for i, turn in enumerate(turns) if turn.content.strip() not in prompt]
        roles = roles_of(turns)
        if missing and tokenizer is not None and roles not in dropped:
            dropped[roles] = unwritten(tokenizer, roles, parts)
        for i in missing:
            role = turns[i].role
            never = i in dropped.get(roles, ())
            if never and role == "user":
                raise Refused(
                    f"{where}: the tokenizer's chat template leaves out the text of user turns; "
                    f"mend the template, or remove it"
                )
            aside.setdefault(
                f"{role} turns are left aside" if never else f"{role} turns are changed", []
            ).append(where)
        if any(name not in prompt for turn in turns for name in _called(turn)):
            aside.setdefault("calls of tools are left aside", []).append(where)
    by = "by the tokenizer's chat template" if tokenizer is not None else "without a chat template"
    for what, places in aside.items():
        note(f"{places[0]}: {what} {by} (rows: {len(dict.fromkeys(places))}, this is the first)")


def check_answers(asked: Sequence[tuple[str, str]], written: Sequence[str]) -> None:
    """Say, in one line, where a template writes an answer otherwise than the row has it; the row's
    own words are scored.

    ``asked``: (where, answer); ``written``: the whole conversation of each as the template writes
    it.
    """
    places = [
        where
        for (where, answer), text in zip(asked, written, strict=True)
        if answer.strip() not in text
    ]
    if places:
        rows = f"(rows: {len(dict.fromkeys(places))}, this is the first)"
        note(
            f"{places[0]}: the chat template would change the answer; the row's own words are "
            f"trained on and scored {rows}"
        )


def _called(turn: Turn) -> Iterator[str]:
    """The names of the tools that a turn calls."""
    calls = json.loads(turn.more).get("tool_calls", ()) if turn.more else ()
    for call in calls if isinstance(calls, list) else ():
        tool = call.get("function", call) if isinstance(call, dict) else {}
        name = tool.get("name") if isinstance(tool, dict) else None
        if isinstance(name, str):
            yield name
