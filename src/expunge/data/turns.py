"""Conversations as people keep them: roles of several names, contents in parts, calls of tools,
pairs of question and answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

ROLES = ("system", "user", "assistant", "tool")
OTHER_NAMES = {  # what the roles are called elsewhere: ShareGPT, OpenAI, Gemini
    "developer": "system",
    "human": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
    "function_call": "assistant",
    "function": "tool",
    "observation": "tool",
}
MORE = ("tool_calls", "tool_call_id", "name")  # handed to the chat template beside role and content
THOUGHT = ("reasoning_content", "reasoning", "thinking")  # what was thought before the content
KNOWN = {"role", "from", "content", "value", *MORE, *THOUGHT}

TurnRow = dict[str, Any]


def text_fault(value: Any) -> str:
    """Why a cell cannot serve as text ('' if it can)."""
    if is_missing(value):
        return "is missing"
    if not isinstance(value, str):
        return "is not a text"
    if not value.strip():
        return "is empty"
    if "\0" in value:
        return "holds a NUL character"
    try:
        value.encode()
    except UnicodeEncodeError:
        return "is not valid Unicode (half of a surrogate pair)"
    return ""


def is_missing(value: Any) -> bool:
    """Whether a cell holds nothing at all: None, or the NaN that tables of numbers have instead."""
    return value is None or (isinstance(value, float) and value != value)


def turns_of(value: Any) -> tuple[list[TurnRow], str]:
    """(turns, '') of a list of turns, or ([], what is wrong with it).

    Every turn has ``role`` (one of ROLES) and ``content`` (a text; "" beside calls of tools and for
    a system turn), and what it holds of MORE.
    """
    if not isinstance(value, (list, tuple)) or not value:
        return [], "is not a list of turns"
    turns: list[TurnRow] = []
    for given in value:
        turn, fault = _turn(given)
        if fault:
            return [], fault
        turns.append(turn)
    return turns, ""


def _turn(given: Any) -> tuple[TurnRow, str]:
    if isinstance(given, Mapping):
        role = given.get("role", given.get("from"))
    else:
        role = None
    role = OTHER_NAMES.get(role, role) if isinstance(role, str) else None
    if role not in ROLES:
        return {}, "has a turn without a role of system, user, assistant or tool"
    thought = next((key for key in THOUGHT if given.get(key)), "")
    if thought:
        return (
            {},
            f"has a turn with {thought}, which would be lost; write it into the content, as the "
            f"model does, or remove it",
        )
    content, fault = _content(given.get("content", given.get("value")))
    more = {key: given[key] for key in MORE if given.get(key)}
    if fault in ("is missing", "is empty") and (
        "tool_calls" in more or (role == "system" and content == "")
    ):
        content, fault = "", ""
    if fault:
        return {}, f"has a turn whose content {fault}"
    return {"role": role, "content": content, **more}, ""


def _content(value: Any) -> tuple[Any, str]:
    """(the text, what is wrong with it) of a content, which may be a list of parts."""
    if isinstance(value, list) and value and all(isinstance(part, Mapping) for part in value):
        kinds = [part.get("type", "text") for part in value]
        if any(kind != "text" for kind in kinds):
            return None, "has a part that is no text (images and sounds are not read)"
        texts = [part.get("text") for part in value]
        if not all(isinstance(text, str) for text in texts):
            return None, "is not a text"
        value = "".join(texts)
    return value, text_fault(value)


def chat_fault(turns: list[TurnRow]) -> str:
    """Why turns cannot serve as a chat that ends in the answer ('' if they can)."""
    last = turns[-1]
    if last["role"] != "assistant":
        return "does not end with an assistant turn"
    if not last["content"]:
        return "ends with a turn that has no content"
    if last.get("tool_calls"):
        return "ends with a turn that calls tools; the answer must be a text"
    return "" if any(turn["role"] == "user" for turn in turns) else "has no user turn"


def history_of(value: Any) -> tuple[list[TurnRow], str]:
    """(turns, '') of earlier turns: a list of turns, or of pairs of what was asked and answered."""
    if not value:
        return [], ""
    if isinstance(value, list) and all(
        isinstance(pair, (list, tuple)) and len(pair) == 2 for pair in value
    ):
        turns = [
            {"role": role, "content": said}
            for pair in value
            for role, said in zip(("user", "assistant"), pair, strict=True)
        ]
        return turns_of(turns)
    return turns_of(value)


def other_keys(value: Any) -> Iterable[str]:
    """The keys of turns that are read nowhere."""
    for turn in value if isinstance(value, (list, tuple)) else ():
        if isinstance(turn, Mapping):
            yield from (
                str(key) for key in turn if key not in KNOWN and turn[key] not in (None, "", [], {})
            )
