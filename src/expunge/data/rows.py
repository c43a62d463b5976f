"""A raw row as an Example, or what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from expunge.core.types import EMPTY, Example
from expunge.data.columns import Fields, shown
from expunge.data.files import Cells

ROLES = ("system", "user", "assistant", "tool")


def text_fault(value: Any) -> str:
    """Why a cell cannot serve as text ('' if it can)."""
    if value is None:
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


def example_of(cells: Cells, fields: Fields, role: str, id: str) -> tuple[Example | None, list[str]]:
    """(the Example, []) or (None, what is wrong, without a word of the row). ``group`` is the row itself where no column gives one."""
    row = cells.values
    faults: list[str] = []

    def text(column: str) -> str:
        fault = text_fault(row.get(column))
        faults.extend([f"{shown([column])} {fault}"] if fault else [])
        return "" if fault else str(row[column])

    prompt, body, answer, messages = None, None, "", None
    if fields.messages:
        fault = chat_fault(row.get(fields.messages))
        faults.extend([f"{shown([fields.messages])} {fault}"] if fault else [])
        if not fault:
            *earlier, last = row[fields.messages]
            messages, answer = tuple({"role": t["role"], "content": t["content"]} for t in earlier), last["content"]
    elif fields.text:
        body = text(fields.text)
    else:
        prompt, answer = text(fields.prompt), text(fields.answer)
        if fields.context and not text_fault(row.get(fields.context)):
            prompt = f"{prompt}\n\n{row[fields.context]}"
    variants = dict(_variants(row, fields, faults))
    group = row.get(fields.group) if fields.group else None
    if faults:
        return None, faults
    found = Example(
        id=id,
        role=role,
        group=id if group in (None, "") else str(group),
        answer=answer,
        prompt=prompt,
        messages=messages,
        text=body,
        variants=variants or EMPTY,
        options=tuple(str(row[o]) for o in fields.options if row.get(o) not in (None, "")),
        tags=fields.tags,
        source=cells.where,
    )
    return found, []


def chat_fault(value: Any) -> str:
    """Why a cell cannot serve as a chat that ends in the answer ('' if it can)."""
    if not isinstance(value, list) or not value:
        return "is not a list of turns"
    for turn in value:
        if not isinstance(turn, dict) or turn.get("role") not in ROLES:
            return "has a turn without a role of system, user, assistant or tool"
        fault = text_fault(turn.get("content"))
        if fault and not (turn["role"] == "system" and turn.get("content") == ""):
            return f"has a turn whose content {fault}"
    if value[-1]["role"] != "assistant":
        return "does not end with an assistant turn"
    return "" if any(t["role"] == "user" for t in value) else "has no user turn"


def _variants(row: Mapping[str, Any], fields: Fields, faults: list[str]) -> Iterator[tuple[str, str]]:
    """variant -> its text. A list gives ``perturbed/0``, ``perturbed/1``...; a cell that is missing or empty gives none."""
    for name, column in fields.variants.items():
        value = row.get(column)
        if value is None or value == "" or value == []:
            continue
        items = (
            {f"{name}/{i}": v for i, v in enumerate(value)}
            if isinstance(value, list)
            else {f"{name}/0" if name == "perturbed" else name: value}
        )
        for variant, item in items.items():
            fault = text_fault(item)
            if fault:
                faults.append(f"{shown([column])} {fault}")
            else:
                yield variant, item
