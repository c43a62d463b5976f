"""Conversations as text, by the tokenizer's own chat template or by a plain form where it has none.

Rendering is slow beside tokenising, so conversations of one shape (the same roles in the same order) are rendered once with
stand-in texts and the real texts put in their places; where that is not what the template gives, each is rendered by itself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from expunge.core.errors import Refused

Turn = tuple[str, str]  # (role, content)
Turns = tuple[Turn, ...]

# Llama 3's template writes today's date unless it is told one; this is the one it falls back on where there is no clock.
# Without it the same row would be other tokens tomorrow. Thinking is switched off where a template knows that switch.
FIXED: dict[str, Any] = {"date_string": "26 Jul 2024", "enable_thinking": False}
TRICKY = re.compile(r"^\s|\s$|^$|[<>\[\]{}|\\]")  # what templates trim or look for inside a text
PLAIN = {"user": "Question: {}\n", "assistant": "Answer: {}\n"}


def plain_prompt(turns: Turns, literal: bool) -> str:
    """Without a template: "Question: ...\\nAnswer:", system turns before it; ``literal``: the bare texts, a blank line between."""
    if literal:
        return "\n\n".join(content for _, content in turns)
    return "".join(PLAIN.get(role, "{}\n\n").format(content) for role, content in turns) + "Answer:"


def messages(turns: Turns) -> list[dict[str, str]]:
    """Turns as templates want them."""
    return [{"role": role, "content": content} for role, content in turns]


def render(tokenizer: Any, turns: Turns, *, prompt: bool, source: str = "", **how: Any) -> Any:
    """The conversation as the template writes it; ``prompt``: with the header of the assistant turn that is to come."""
    from jinja2 import TemplateError

    try:
        return tokenizer.apply_chat_template(messages(turns), add_generation_prompt=prompt, **{"tokenize": False, **FIXED, **how})
    except TemplateError as error:
        # the template's own words are told, unless they could be made of the row's
        said = f" ({error})" if str(error) and str(error) in str(tokenizer.chat_template) else ""
        roles = ", ".join(role for role, _ in turns)
        raise Refused(f"{source}: the tokenizer's chat template refuses turns of {roles}{said}; change the turns or the template") from None


def render_all(tokenizer: Any, conversations: Sequence[Turns], *, prompt: bool, sources: Sequence[str]) -> list[str]:
    """``render`` of each, as text; shapes that occur often by splicing."""
    shapes: dict[tuple[str, ...], list[int]] = {}
    for i, turns in enumerate(conversations):
        shapes.setdefault(tuple(role for role, _ in turns), []).append(i)
    out = [""] * len(conversations)
    for members in shapes.values():
        spliced = _splice(tokenizer, [conversations[i] for i in members], prompt) if len(members) > 8 else {}
        for k, i in enumerate(members):
            out[i] = spliced[k] if k in spliced else render(tokenizer, conversations[i], prompt=prompt, source=sources[i])
    return out


def _splice(tokenizer: Any, conversations: Sequence[Turns], prompt: bool) -> dict[int, str]:
    """position -> text of the conversations that no template treats specially; {} where the template is no plain frame.

    That it is one is checked on a spread of the conversations themselves: the first, the last, the longest and some between.
    """
    frame = frame_of(tokenizer, tuple(role for role, _ in conversations[0]), prompt)
    if frame is None:
        return {}
    easy = [k for k, turns in enumerate(conversations) if not any(TRICKY.search(content) for _, content in turns)]
    made = {k: fill(frame, [content for _, content in conversations[k]]) for k in easy}
    longest = [max(easy, key=lambda k: len(made[k]))] if easy else []
    seen = {*easy[:3], *easy[-2:], *easy[:: 1 + len(easy) // 6], *longest}
    return made if all(made[k] == render(tokenizer, conversations[k], prompt=prompt) for k in seen) else {}


def frame_of(tokenizer: Any, roles: Sequence[str], prompt: bool) -> list[str] | None:
    """What the template writes around the texts of such turns: one piece more than turns, or None if each text does not occur once."""
    words = [f"90817{i:03d}26354" for i in range(len(roles))]  # digits: no change of case touches them
    try:
        rest = render(tokenizer, tuple(zip(roles, words, strict=True)), prompt=prompt)
    except Refused:
        return None
    pieces = []
    for word in words:
        if rest.count(word) != 1:
            return None
        before, rest = rest.split(word)
        pieces.append(before)
    return [*pieces, rest]


def fill(frame: Sequence[str], texts: Sequence[str]) -> str:
    """The frame with texts in its gaps."""
    return "".join(x for pair in zip(frame[:-1], texts, strict=True) for x in pair) + frame[-1]
