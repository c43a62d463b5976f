"""Rows of benchmarks as they lie in a folder of the user's or on the hub, and Examples made of them
column by column.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import Any

from expunge.core.data import Example, Examples
from expunge.core.errors import NotAtHand, Refused, listed
from expunge.core.results import EMPTY
from expunge.data.columns import OPEN
from expunge.data.files import Cells, text_of
from expunge.data.folders import SUFFIXES
from expunge.data.formats import rows_of
from expunge.data.hub import hub_rows
from expunge.data.turns import text_fault


def folder_of(data: str) -> str:
    """The folder of rows that was given, or EXPUNGE_DATA; "" if neither is."""
    return data or os.environ.get("EXPUNGE_DATA", "")


def place_of(
    data: str, folder: str, names: Sequence[str], hub: str, suffixes: Sequence[str] = SUFFIXES
) -> Path | None:
    """The file of the first of ``names`` that lies in ``data/folder`` or in ``data``, with any
    suffix; None without ``data``.

    ``data`` may come from EXPUNGE_DATA. Names may hold a path; ``name-*.parquet``, as the hub
    stores shards, is found as well. Refused in one line that says what is wanted and which hub data
    set has it: NotAtHand if only the file is absent.
    """
    data = folder_of(data)
    if not data:
        return None
    instead = f"it must hold {folder}/{names[0]}{suffixes[0]}"
    if hub.startswith("hub:"):
        instead += f"; without --data the rows come from {hub}"
    elif hub:
        instead += f" from {hub}"
    if not Path(data).is_dir():
        raise Refused(f"--data {data}: no such folder; {instead}")
    for base in (Path(data) / folder, Path(data)):
        for name in names:
            for suffix in suffixes:
                found = [
                    base / (name + suffix),
                    *sorted((base / name).parent.glob(f"{Path(name).name}-*-of-*{suffix}")),
                ]
                for path in found:
                    if path.is_file():
                        return path
    raise NotAtHand(f"--data {data}: no rows {names[0]!r} of {folder} in this folder; {instead}")


def table(
    data: str, folder: str, names: Sequence[str], hub: str, suffixes: Sequence[str] = SUFFIXES
) -> list[Cells]:
    """The raw rows of a file below ``data``, or of the hub data set ``hub``
    ("hub:owner/name:config@split").

    ``hub`` may be another place's name where the hub has none; then a folder is asked for.
    NotAtHand if the rows are in neither; Refused, with file:line, if they are there and cannot be
    read, or if the file holds none.
    """
    path = place_of(data, folder, names, hub, suffixes)
    if path is not None:
        rows = rows_of(path)
        if not rows:
            raise Refused(f"{path}:1: no rows in this file; copy it again")
        return rows
    if not hub.startswith("hub:"):
        raise NotAtHand(
            f"{folder}: its rows are not read from the hub; copy them from {hub} and give --data, "
            f"a folder with {folder}/{names[0]}.json"
        )
    try:
        return hub_rows(hub)
    except Refused as error:
        instead = (
            f"the path goes into --data (or EXPUNGE_DATA): a folder that holds "
            f"{folder}/{names[0]}.json"
        )
        raise type(error)(f"{error}; {instead}") from None


def table_or_none(
    absent: MutableMapping[str, str],
    role: str,
    data: str,
    folder: str,
    names: Sequence[str],
    hub: str,
) -> list[Cells]:
    """The rows of a role that a benchmark can do without, as ``table`` reads them; [] if they are
    not at hand.

    ``absent[role]`` is then the reason in one line. Rows that are there but cannot be read are
    refused.
    """
    try:
        return table(data, folder, names, hub)
    except NotAtHand as error:
        absent[role] = str(error)
        return []


def document(data: str, folder: str, names: Sequence[str], hub: str) -> tuple[Path, Any]:
    """(the file, its JSON) of data that are one object and no rows."""
    path = place_of(data, folder, names, hub, (".json", ".json.gz"))
    if path is None:
        raise NotAtHand(
            f"{folder}: its rows are not read from the hub; copy them from {hub} and give --data, "
            f"a folder with {folder}/{names[0]}.json"
        )
    try:
        return path, json.loads(text_of(path))
    except (ValueError, RecursionError):
        raise Refused(f"{path}:1: not JSON; copy the file again") from None


Take = str | Callable[[Mapping[str, Any]], Any]


def taken(row: Mapping[str, Any], what: Take) -> Any:
    """A column of a row, or what a function makes of the row (None where it cannot)."""
    if isinstance(what, str):
        return row.get(what)
    try:
        return what(row)
    except (KeyError, TypeError, IndexError, ValueError, AttributeError):
        return None


def examples(  # noqa: PLR0913 (a keyword for each column)
    cells: Sequence[Cells],
    role: str,
    prefix: str,
    *,
    prompt: Take = "question",
    answer: Take = "answer",
    text: Take = "",
    group: Take = "",
    variants: Mapping[str, Take] = EMPTY,
    options: Take = "",
    right: Take = "",
    tags: tuple[str, ...] = (),
    keep: Callable[[Mapping[str, Any]], bool] = lambda row: True,
) -> Examples:
    """Rows as Examples of a role, with ids ``prefix/number``.

    Args:
        cells: The rows, each with its file and line.
        role: The role of the examples.
        prefix: The beginning of their ids.
        prompt: The column of the question; like the others a name or a function of the row.
        answer: The column of the answer.
        text: The column of a bare text; there is then no question and no answer.
        group: The column of the group; without one each row is a group of its own.
        variants: The columns of other texts. A column that holds a list becomes ``name/0``,
            ``name/1`` ...; an empty one is dropped.
        options: The column of a list of options; the answer is then the right one of them.
        right: The column of the index of the right option, or of its letter.
        tags: Tags of every example.
        keep: Which rows are taken; their numbers do not change.

    Returns:
        The examples, at least one.

    Raises:
        Refused: A row cannot be used, by file:line and without a text of the data.
    """
    made, bad = [], []
    for number, c in enumerate(cells):
        row = c.values
        if not keep(row):
            continue
        chosen = _options(row, options, right) if options else None
        if options and chosen is None:
            bad.append(f"{c.where} (no options, or none of them is right)")
            continue
        if text:
            parts = {"text": taken(row, text)}
        elif OPEN in tags:
            parts = {"prompt": taken(row, prompt)}
        elif chosen is not None:
            parts = {"prompt": taken(row, prompt), "answer": chosen[0][chosen[1]]}
        else:
            parts = {"prompt": taken(row, prompt), "answer": taken(row, answer)}
        fault = _first_fault(parts)
        if fault:
            bad.append(f"{c.where} ({fault})")
            continue
        id = f"{prefix}/{number}"
        unit = taken(row, group) if group else None
        made.append(
            Example(
                id=id,
                role=role,
                group=id if unit in (None, "") else str(unit),
                answer=parts.get("answer", ""),
                prompt=parts.get("prompt"),
                text=parts.get("text"),
                variants=dict(_variants(row, variants)) or EMPTY,
                options=chosen[0] if chosen else (),
                right=chosen[1] if chosen else None,
                tags=tags,
                source=c.where,
            )
        )
    if bad:
        raise Refused(
            f"{bad[0]}: {len(bad)} of {len(cells)} rows cannot be used: {listed(bad, 5)}; are "
            f"these the files of the benchmark?"
        )
    if not made:
        raise _no_rows(cells, role, prefix)
    return tuple(made)


def _no_rows(cells: Sequence[Cells], role: str, prefix: str) -> Refused:
    where = prefix
    if cells:
        where = cells[0].where.rsplit(":", 1)[0]
    return Refused(
        f"{where}: no rows for {role}; is this the file of the benchmark, and does the part "
        f"that was asked for exist?"
    )


def _first_fault(parts: Mapping[str, Any]) -> str:
    """Why one of the parts is no text; empty if all are."""
    for name, value in parts.items():
        fault = text_fault(value)
        if fault:
            return f"{name if name == 'text' else 'question or answer'} {fault}"
    return ""


def _options(
    row: Mapping[str, Any], options: Take, right: Take
) -> tuple[tuple[str, ...], int] | None:
    """The options of a row and the index of the right one; None if they cannot be used."""
    found = taken(row, options)
    if not isinstance(found, (list, tuple)) or len(found) < 2:
        return None
    texts = tuple(map(str, found))
    if any(map(text_fault, texts)):
        return None
    at = taken(row, right)
    if isinstance(at, str) and len(at) == 1 and at.isalpha():
        at = "ABCDEFGH".find(at)
    try:
        place = int(at)
    except (TypeError, ValueError):
        return None
    if not 0 <= place < len(texts):
        return None
    return texts, place


def _variants(row: Mapping[str, Any], variants: Mapping[str, Take]) -> Iterable[tuple[str, str]]:
    for name, what in variants.items():
        value = taken(row, what)
        many = isinstance(value, (list, tuple))
        for i, item in enumerate(value if many else (value,)):
            if not text_fault(item):
                yield f"{name.rstrip('/')}/{i}" if many or name.endswith("/") else name, item
