"""A raw row as an Example, or what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from expunge.core.data import Example
from expunge.core.results import EMPTY
from expunge.data.columns import LITERAL, Fields, shown
from expunge.data.files import Cells
from expunge.data.turns import TurnRow, chat_fault, history_of, is_missing, text_fault, turns_of


def example_of(
    cells: Cells, fields: Fields, role: str, id: str
) -> tuple[Example | None, list[str]]:
    """(the Example, []) or (None, what is wrong, without a word of the row).

    ``group`` is the row itself where no column gives one.
    """
    row = cells.values
    faults: list[str] = []
    prompt, text, answer = None, None, ""
    turns: list[TurnRow] = []
    if fields.text:
        text = _text(row, fields.text, faults)
    elif fields.messages:
        turns = _chat(row, fields, faults)
    elif isinstance(row.get(fields.prompt), list) or isinstance(row.get(fields.answer), list):
        turns = _halves(row, fields, faults)
    else:
        prompt = _text(row, fields.prompt, faults)
        answer = _text(row, fields.answer, faults)
        for column in fields.context:
            more = _beside(row, column, faults)
            prompt = f"{prompt}\n\n{more}" if more else prompt
        before = _before(row, fields, faults)
        if before:
            turns = [
                *before,
                {"role": "user", "content": prompt},
                {"role": "assistant", "content": answer},
            ]
    variants = dict(_variants(row, fields, faults))
    group = _name(row, fields.group, faults)
    options = [_name(row, column, faults) for column in fields.options]
    if faults:
        return None, faults
    found = Example(
        id=id,
        role=role,
        group=group or id,
        answer=turns[-1]["content"] if turns else answer,
        prompt=None if turns else prompt,
        messages=tuple(turns[:-1]) if turns else None,
        text=text,
        variants=variants or EMPTY,
        options=tuple(o for o in options if o),
        tags=tuple(t for t in fields.tags if not (turns and t == LITERAL)),
        source=cells.where,
    )
    return found, []


def _text(row: Mapping[str, Any], column: str, faults: list[str]) -> str:
    fault = text_fault(row.get(column))
    faults.extend([f"{shown([column])} {fault}"] if fault else [])
    return "" if fault else str(row[column])


def _beside(row: Mapping[str, Any], column: str, faults: list[str]) -> str:
    """A text that a row may lack; a number or a list there is a fault, for it belongs to the
    prompt.
    """
    value = row.get(column) if column else None
    if is_missing(value) or (isinstance(value, str) and not value.strip()):
        return ""
    return _text(row, column, faults)


def _name(row: Mapping[str, Any], column: str, faults: list[str]) -> str:
    """A group or an option as text: a number counts as its digits, what is missing as ''."""
    value = row.get(column) if column else None
    if is_missing(value) or value == "":
        return ""
    if isinstance(value, (str, int, float)):
        fault = text_fault(str(value))
    else:
        fault = "is neither a text nor a number"
    fault = "" if fault == "is empty" else fault
    faults.extend([f"{shown([column])} {fault}"] if fault else [])
    return "" if fault else str(value)


def _before(row: Mapping[str, Any], fields: Fields, faults: list[str]) -> list[TurnRow]:
    """The turns that the columns of a system prompt and of earlier turns put before the prompt."""
    system = _beside(row, fields.system, faults)
    turns, fault = history_of(row.get(fields.history)) if fields.history else ([], "")
    faults.extend([f"{shown([fields.history])} {fault}"] if fault else [])
    return [*([{"role": "system", "content": system}] if system else []), *turns]


def _chat(row: Mapping[str, Any], fields: Fields, faults: list[str]) -> list[TurnRow]:
    """The turns of a chat that ends in the answer, a system prompt of the row before them; [] with
    a fault.
    """
    turns, fault = turns_of(row.get(fields.messages))
    fault = fault or chat_fault(turns)
    system = _beside(row, fields.system, faults)
    if (
        system
        and turns
        and turns[0]["role"] == "system"
        and turns[0]["content"] not in ("", system)
    ):
        fault = (
            fault
            or f"begins with a system turn, and {shown([fields.system])} gives another; keep one"
        )
    faults.extend([f"{shown([fields.messages])} {fault}"] if fault else [])
    if fault or not system:
        return [] if fault else turns
    return [
        {"role": "system", "content": system},
        *(turns[1:] if turns[0]["role"] == "system" else turns),
    ]


def _halves(row: Mapping[str, Any], fields: Fields, faults: list[str]) -> list[TurnRow]:
    """The turns of a chat whose prompt and answer are lists of turns (or one of them a text)."""
    turns: list[TurnRow] = []
    for column, role in ((fields.prompt, "user"), (fields.answer, "assistant")):
        value = row.get(column)
        if isinstance(value, list):
            found, fault = turns_of(value)
            faults.extend([f"{shown([column])} {fault}"] if fault else [])
            turns += found
        else:
            turns.append({"role": role, "content": _text(row, column, faults)})
    for column in fields.context:
        if _beside(row, column, faults):
            faults.append(f"{shown([column])} stands beside a prompt of turns; put it into a turn")
    turns = [*_before(row, fields, faults), *turns]
    fault = "" if faults else chat_fault(turns)
    faults.extend([f"{shown([fields.answer])} {fault}"] if fault else [])
    return turns


def _variants(
    row: Mapping[str, Any], fields: Fields, faults: list[str]
) -> Iterator[tuple[str, str]]:
    """variant -> its text.

    A list gives ``perturbed/0``, ``perturbed/1``...; a cell that is missing or empty gives none.
    """
    for name, column in fields.variants.items():
        value = row.get(column)
        if is_missing(value) or value == "" or value == []:
            continue
        if isinstance(value, list):
            items = {f"{name}/{i}": v for i, v in enumerate(value)}
        else:
            items = {f"{name}/0" if name == "perturbed" else name: value}
        for variant, item in items.items():
            fault = text_fault(item)
            if fault:
                faults.append(f"{shown([column])} {fault}")
            else:
                yield variant, str(item)
