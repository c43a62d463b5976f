"""Text -> raw rows, each with the ``file:line`` where it begins: json, jsonl, csv, tsv, parquet, txt."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from expunge.core.errors import Refused, listed
from expunge.data.files import LONGEST_ROW, Cells, kind_of, lines_of, raw, text_of

OPENING = re.compile(r"\s*\[\s*")
BETWEEN = re.compile(r"[ \t\r\n]*([,\]])[ \t\r\n]*")


def rows_of(path: Path) -> list[Cells]:
    """Every row of one file. Refused, with file:line: what is not readable as the kind that its suffix says."""
    return list(READERS[kind_of(path)](path))


def jsonl(path: Path) -> Iterator[Cells]:
    """One JSON object a line; blank lines are passed over. A bare string is a text."""
    return _json_lines(path, text_of(path))


def json_rows(path: Path) -> Iterator[Cells]:
    """A JSON array of rows, or JSON Lines under the name .json (as TOFU's files are)."""
    text = text_of(path)
    return _json_array(path, text) if text.lstrip().startswith("[") else _json_lines(path, text)


def _json_lines(path: Path, text: str) -> Iterator[Cells]:
    found, bad, n = [], [], 0
    for number, line in lines_of(path, text):
        if line.strip():
            n += 1
            row, column = _parsed(line)
            if row is None:
                bad.append((number, column))
            else:
                found.append(Cells(f"{path}:{number}", row))
    if bad and kind_of(path) == ".json" and not found and text.lstrip().startswith("{"):
        raise Refused(f"{path}:1: one JSON object where rows are expected; write an array of objects, or one object a line")
    if bad:
        where = listed([f"line {number} column {column}" for number, column in bad], 10)
        raise Refused(f"{path}:{bad[0][0]}: {len(bad)} of {n} lines are not JSON objects: {where}; mend or remove them")
    return iter(found)


def _parsed(line: str) -> tuple[Mapping[str, Any] | None, int]:
    """(row, 0), or (None, the column where the line stops being a JSON object)."""
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        return None, error.colno
    except (ValueError, RecursionError):  # a number of thousands of digits; brackets nested without end
        return None, 1
    row = _as_row(row)
    return row, 0 if row is not None else 1


def _as_row(value: Any) -> Mapping[str, Any] | None:
    return {"text": value} if isinstance(value, str) else value if isinstance(value, dict) else None


def _json_array(path: Path, text: str) -> Iterator[Cells]:
    """The elements of a JSON array, decoded one by one, so that each keeps its line."""
    decoder = json.JSONDecoder()
    opening = OPENING.match(text)
    assert opening is not None
    at, line, counted = opening.end(), 1, 0
    if text.startswith("]", at) and not text[at + 1 :].strip():
        return
    while True:
        line, counted = line + text.count("\n", counted, at), at
        try:
            value, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            raise _not_json(path, text, error.pos if isinstance(error, json.JSONDecodeError) else at) from None
        row = _as_row(value)
        if row is None or end - at > LONGEST_ROW:
            raise Refused(f"{path}:{line}: this element is not an object of at most {LONGEST_ROW >> 20} Mi characters; mend or remove it")
        yield Cells(f"{path}:{line}", row)
        sign = BETWEEN.match(text, end)
        if sign is None or (sign[1] == "]" and sign.end() < len(text)):
            raise _not_json(path, text, sign.end() if sign else end)
        if sign[1] == "]":
            return
        at = sign.end()


def _not_json(path: Path, text: str, at: int) -> Refused:
    line, column = text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
    return Refused(f"{path}:{line}: not JSON at column {column}; mend the array from there")


def _table(path: Path, delimiter: str) -> list[Cells]:
    """csv with a header; a quoted cell may span lines, and the row then bears its first line."""
    reader = csv.reader((line for _, line in lines_of(path, text_of(path), ends=True)), delimiter=delimiter, strict=True)
    found: list[Cells] = []
    ragged: list[tuple[int, int]] = []
    header: Sequence[str] = ()
    start = 1
    before = csv.field_size_limit(LONGEST_ROW)  # the module's own limit, 128 KiB, is put back
    try:
        for row in reader:
            if row and not header:
                header = [name.strip() for name in row]
            elif row and len(row) != len(header):
                ragged.append((start, len(row)))
            elif row:
                found.append(Cells(f"{path}:{start}", dict(zip(header, row, strict=True))))
            start = reader.line_num + 1
    except csv.Error:
        raise Refused(f"{path}:{start}: this row is not {kind_of(path)[1:]} (an open or misplaced quote?); mend it") from None
    finally:
        csv.field_size_limit(before)
    if len(set(header)) != len(header):
        raise Refused(f"{path}:1: two columns bear one name; rename one of them")
    if ragged:
        where = listed([f"line {number} has {cells}" for number, cells in ragged], 10)
        need = f"{len(header)} cells as the header has"
        raise Refused(f"{path}:{ragged[0][0]}: {len(ragged)} rows have not {need}: {where}; mend them, or quote cells that hold a comma")
    return found


def _parquet(path: Path) -> Iterator[Cells]:
    import pyarrow
    import pyarrow.parquet

    data = io.BytesIO(raw(path))
    try:
        rows = pyarrow.parquet.read_table(data).to_pylist()
    except (pyarrow.ArrowException, OSError, ValueError):
        raise Refused(f"{path}:1: not a whole parquet file; copy it again") from None
    return (Cells(f"{path}:{number}", row) for number, row in enumerate(rows, 1))


def _txt(path: Path) -> Iterator[Cells]:
    """One text a line, as ``datasets`` reads .txt files; blank lines are passed over."""
    return (Cells(f"{path}:{number}", {"text": line}) for number, line in lines_of(path, text_of(path)) if line.strip())


READERS: Mapping[str, Callable[[Path], Iterator[Cells]]] = {
    ".jsonl": jsonl,
    ".json": json_rows,
    ".csv": lambda path: iter(_table(path, ",")),
    ".tsv": lambda path: iter(_table(path, "\t")),
    ".parquet": _parquet,
    ".txt": _txt,
}
