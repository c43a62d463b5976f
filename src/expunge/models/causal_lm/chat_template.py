"""Conversations as text, by the tokenizer's own chat template or by a plain form where it has none.

Rendering is slow beside tokenizing, so conversations of one shape (the same roles in the same
order) are rendered once with stand-in texts and the real texts put in their places; where that is
not what the template gives, each is rendered by itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

from expunge.core.errors import Refused
from expunge.core.limits import limited


class Endless(Refused):
    """A chat template that comes to no end.

    What is tried with a template, to learn its form, passes this on: each try would last.
    """


class Turn(NamedTuple):
    """One turn of a conversation.

    ``more``: what else it hands to a template (calls of tools), as JSON; "" if nothing.
    """

    role: str
    content: str
    more: str = ""


Turns = tuple[Turn, ...]
Roles = tuple[str, ...]


SECONDS = 2.0  # of computing: a thousand times what a template needs
LONGEST = 1 << 20  # characters
# Llama 3's template writes today's date unless it is told one; this is the one it falls back on
# where there is no clock. Without it the same row would be other tokens tomorrow. Thinking is
# switched off where a template knows that switch.
DAY = datetime(2024, 7, 26)
FIXED: dict[str, Any] = {"date_string": DAY.strftime("%d %b %Y"), "enable_thinking": False}
TRICKY = re.compile(r"^\s|\s$|^$|[<>\[\]{}|\\]")  # what templates trim or look for inside a text
PLAIN = {"user": "Question: {}\n", "assistant": "Answer: {}\n"}


@lru_cache
def dated(template: str) -> str:
    """The template with its clock stopped on DAY: other templates ask ``strftime_now(form)``, which
    nothing else can overrule.

    A macro of that name stands before it and replaces the directives of ``form`` one by one.
    """
    if "strftime_now" not in template:
        return template
    directives = [f"%{flag}{letter}" for flag in ("-", "") for letter in "aAbBcdHIjmMpSUwWxXyYfzZ"]
    swaps = "".join(f" | replace('{d}', '{DAY.strftime(d)}')" for d in directives)
    return f"{{%- macro strftime_now(form) -%}}{{{{ form{swaps} }}}}{{%- endmacro -%}}{template}"


def plain_prompt(turns: Turns, literal: bool) -> str:
    """Without a template: "Question: ...\\nAnswer:", system turns before it; ``literal``: the bare texts, a blank line between."""
    said = [turn for turn in turns if turn.content or not turn.more]
    if literal:
        return "\n\n".join(turn.content for turn in said)
    return "".join(PLAIN.get(turn.role, "{}\n\n").format(turn.content) for turn in said) + "Answer:"


def messages(turns: Turns, parts: bool = False) -> list[dict[str, Any]]:
    """Turns as templates want them; ``parts``: each content as a list of one part, as templates of
    multimodal models do.
    """
    made = []
    for turn in turns:
        content: Any = [{"type": "text", "text": turn.content}] if parts else turn.content
        made.append(
            {"role": turn.role, "content": content, **(json.loads(turn.more) if turn.more else {})}
        )
    return made


def wants_parts(tokenizer: Any) -> bool:
    """Whether the template writes a user's text only where it is given as a list of parts."""
    turns = (Turn("user", stand_in(0)),)
    written = [_attempt(tokenizer, turns, parts) for parts in (False, True)]
    return stand_in(0) not in written[0] and stand_in(0) in written[1]


def _attempt(tokenizer: Any, turns: Turns, parts: bool) -> str:
    try:
        return str(render(tokenizer, turns, prompt=True, parts=parts))
    except Endless:
        raise
    except Refused:
        return ""


def render(
    tokenizer: Any, turns: Turns, *, prompt: bool, source: str = "", parts: bool = False, **how: Any
) -> Any:
    """The conversation as the template writes it; ``prompt``: with the header of the assistant turn
    that is to come.

    A template is a program of whoever made the folder. Refused: whatever it raises, and one that
    computes for more than ``SECONDS`` (``Endless``) or writes more than ``LONGEST`` characters
    around the texts.
    """
    from jinja2 import TemplateError

    roles = ", ".join(turn.role for turn in turns)
    what = {"tokenize": False, **FIXED, **how}
    # no row of the data: the folder whose template it is
    at = source or str(getattr(tokenizer, "name_or_path", ""))
    whose = f"{at}: the tokenizer's chat template" if at else "the tokenizer's chat template"
    try:
        what["chat_template"] = dated(tokenizer.get_chat_template())
        with limited(SECONDS):
            made = tokenizer.apply_chat_template(
                messages(turns, parts), add_generation_prompt=prompt, **what
            )
    except TemplateError as error:
        # the template's own words are told, unless they could be made of the row's
        said = f" ({error})" if str(error) and str(error) in str(tokenizer.chat_template) else ""
        raise Refused(
            f"{whose} refuses turns of {roles}{said}; change the turns or the template"
        ) from None
    except TimeoutError:
        raise Endless(f"{whose} comes to no end within {SECONDS:g} s; mend the template") from None
    except Exception as error:
        kind = type(error).__name__
        raise Refused(
            f"{whose} breaks on turns of {roles} ({kind}); change the turns or the template"
        ) from None
    if isinstance(made, str) and len(made) > LONGEST + 8 * sum(len(turn.content) for turn in turns):
        raise Refused(f"{whose} writes {len(made)} characters; mend the template")
    return made


def render_all(
    tokenizer: Any,
    conversations: Sequence[Turns],
    *,
    prompt: bool,
    sources: Sequence[str],
    parts: bool = False,
) -> list[str]:
    """``render`` of each, as text; shapes that occur often by splicing."""
    shapes: dict[Roles, list[int]] = {}
    for i, turns in enumerate(conversations):
        shapes.setdefault(roles_of(turns), []).append(i)
    out = [""] * len(conversations)
    for members in shapes.values():
        spliced = (
            _splice(tokenizer, [conversations[i] for i in members], prompt, parts)
            if len(members) > 8
            else {}
        )
        for k, i in enumerate(members):
            out[i] = (
                spliced[k]
                if k in spliced
                else render(
                    tokenizer, conversations[i], prompt=prompt, source=sources[i], parts=parts
                )
            )
    return out


def _splice(
    tokenizer: Any, conversations: Sequence[Turns], prompt: bool, parts: bool
) -> dict[int, str]:
    """position -> text of the conversations that no template treats specially; {} where the
    template is no plain frame.

    That it is one is checked on a spread of the conversations themselves: the first, the last, the
    longest and some between.
    """
    frame = frame_of(tokenizer, roles_of(conversations[0]), prompt, parts)
    if frame is None:
        return {}
    easy = [
        k
        for k, turns in enumerate(conversations)
        if not any(t.more or TRICKY.search(t.content) for t in turns)
    ]
    made = {k: fill(frame, [turn.content for turn in conversations[k]]) for k in easy}
    longest = [max(easy, key=lambda k: len(made[k]))] if easy else []
    seen = {*easy[:3], *easy[-2:], *easy[:: 1 + len(easy) // 6], *longest}
    return (
        made
        if all(
            made[k] == render(tokenizer, conversations[k], prompt=prompt, parts=parts) for k in seen
        )
        else {}
    )


def roles_of(turns: Turns) -> Roles:
    """The roles of a conversation in order: its shape."""
    return tuple(turn.role for turn in turns)


def stand_in(number: int) -> str:
    """A text that no template changes: digits, which know no case."""
    return f"90817{number:03d}26354"


def frame_of(
    tokenizer: Any, roles: Sequence[str], prompt: bool, parts: bool = False
) -> list[str] | None:
    """What the template writes around the texts of such turns: one piece more than turns, or None
    if each text does not occur once.
    """
    words = [stand_in(i) for i in range(len(roles))]
    turns = tuple(Turn(role, word) for role, word in zip(roles, words, strict=True))
    try:
        rest = render(tokenizer, turns, prompt=prompt, parts=parts)
    except Endless:
        raise
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


def unwritten(tokenizer: Any, roles: Sequence[str], parts: bool) -> list[int]:
    """The places of turns whose text the template leaves out, whatever it is."""
    turns = tuple(Turn(role, stand_in(i)) for i, role in enumerate(roles))
    written = _attempt(tokenizer, turns, parts)
    return [i for i, turn in enumerate(turns) if written and turn.content not in written]
