"""Text -> raw rows, each with the ``file:line`` where it begins: json, jsonl, csv, tsv, parquet,
txt.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from expunge.core.errors import Refused, listed
from expunge.core.notes import note
from expunge.data.files import (
    HARMLESS,
    LONGEST_ROW,
    Cells,
    bound_of,
    kind_of,
    lines_of,
    raw,
    text_of,
    too_large,
)

OPENING = re.compile(r"\s*\[\s*")
BETWEEN = re.compile(r"[ \t\r\n]*([,\]])[ \t\r\n]*")


def rows_of(path: Path) -> list[Cells]:
    """Every row of one file.

    Refused, with file:line: what is not readable as the kind that its suffix says.
    """
    return list(READERS[kind_of(path)](path))


def jsonl(path: Path) -> Iterator[Cells]:
    """One JSON object a line; blank lines are passed over. A bare string is a text."""
    return _json_lines(path, text_of(path))


def json_rows(path: Path) -> Iterator[Cells]:
    """A JSON array of rows, or JSON Lines under the name .json (as TOFU's files are)."""
    text = text_of(path)
    if text.lstrip().startswith("["):
        return _json_array(path, text)
    return _json_lines(path, text)


def _json_lines(path: Path, text: str) -> Iterator[Cells]:
    found = []
    bad = []
    n = 0
    for number, line in lines_of(path, text):
        if line.strip():
            n += 1
            row, column = _parsed(line)
            if row is None:
                bad.append((number, column))
            else:
                found.append(Cells(f"{path}:{number}", row))
    if bad and kind_of(path) == ".json" and not found and text.lstrip().startswith("{"):
        raise Refused(
            f"{path}:1: one JSON object where rows are expected; write an array of objects, or one "
            f"object a line; or move it away"
        )
    if bad:
        where = listed([f"line {number} column {column}" for number, column in bad], 10)
        raise Refused(
            f"{path}:{bad[0][0]}: {len(bad)} of {n} lines are not JSON objects: {where}; mend or "
            f"remove them"
        )
    return iter(found)


def _parsed(line: str) -> tuple[Mapping[str, Any] | None, int]:
    """(row, 0), or (None, the column where the line stops being a JSON object)."""
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        return None, error.colno
    # a number of thousands of digits; brackets nested without end
    except (ValueError, RecursionError):
        return None, 1
    row = as_row(row)
    return row, 0 if row is not None else 1


def as_row(value: Any) -> Mapping[str, Any] | None:
    """A row as a mapping; a bare string is a text. None: it is neither."""
    if isinstance(value, str):
        return {"text": value}
    if isinstance(value, dict):
        return value
    return None


def _json_array(path: Path, text: str) -> Iterator[Cells]:
    """The elements of a JSON array, decoded one by one, so that each keeps its line."""
    decoder = json.JSONDecoder()
    opening = OPENING.match(text)
    assert opening is not None
    at = opening.end()
    line = 1
    counted = 0
    if text.startswith("]", at) and not text[at + 1 :].strip():
        return
    while True:
        line = line + text.count("\n", counted, at)
        counted = at
        try:
            value, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            raise _not_json(
                path, text, error.pos if isinstance(error, json.JSONDecodeError) else at
            ) from None
        row = as_row(value)
        if row is None or end - at > LONGEST_ROW:
            raise Refused(
                f"{path}:{line}: this element is not an object of at most {LONGEST_ROW >> 20} Mi "
                f"characters; mend or remove it"
            )
        yield Cells(f"{path}:{line}", row)
        sign = BETWEEN.match(text, end)
        if sign is None or (sign[1] == "]" and sign.end() < len(text)):
            raise _not_json(path, text, sign.end() if sign else end)
        if sign[1] == "]":
            return
        at = sign.end()


def _not_json(path: Path, text: str, at: int) -> Refused:
    line = text.count("\n", 0, at) + 1
    column = at - text.rfind("\n", 0, at)
    return Refused(f"{path}:{line}: not JSON at column {column}; mend the array from there")


Numbered = Iterable[tuple[int, list[str]]]  # (line on which a row begins, its cells)
# the line by which a spreadsheet says what sets its cells apart
SEPARATOR = re.compile(r'"?sep=(.)"?\r?\n')
SEPARATORS = ",;\t|"
QUOTED = re.compile(r'"(?:[^"]|"")*"')


def _csv(path: Path) -> list[Cells]:
    """csv with a header; a quoted cell may span lines, and the row then bears its first line.

    Cells are set apart by the sign that a first line ``sep=;`` names, else by the first of comma,
    semicolon, tab and bar that the header has.
    """
    lines = [line for _, line in lines_of(path, text_of(path), ends=True)]
    named = SEPARATOR.fullmatch(lines[0]) if lines else None
    first = 1 if named else 0
    header = next((line for line in lines[first:] if line.strip()), "")
    found = [sign for sign in SEPARATORS if _parts(header, sign) > 1]
    sign = named[1] if named else next(iter(found), ",")
    return _table(path, _csv_rows(path, lines[first:], sign, first))


def _parts(header: str, sign: str) -> int:
    """How many cells a header has if they are set apart by a sign; 0 if it is no csv then."""
    try:
        return len(next(csv.reader([header], delimiter=sign), []))
    except csv.Error:
        return 0


def _csv_rows(
    path: Path, lines: Sequence[str], delimiter: str, passed: int
) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    start = passed + 1
    before = csv.field_size_limit(LONGEST_ROW)  # the module's own limit, 128 KiB, is put back
    try:
        for row in reader:
            yield start, row
            start = passed + reader.line_num + 1
    except csv.Error:
        raise Refused(
            f"{path}:{start}: this row is not csv (an open or misplaced quote?); mend it"
        ) from None
    finally:
        csv.field_size_limit(before)


def _tsv(path: Path) -> list[Cells]:
    """A row a line, its cells set apart by tabs, with a header.

    A quotation mark is a part of the text.

    Only where every cell that begins with one is quoted as in csv (closed, and inner ones doubled)
    did a spreadsheet put them there.
    """
    rows = [(number, line.split("\t")) for number, line in lines_of(path, text_of(path))]
    marked = [cell for _, row in rows for cell in row if cell.startswith('"')]
    if marked and all(QUOTED.fullmatch(cell) for cell in marked):
        note(
            f"{path}: left aside: the quotation marks around {len(marked)} cells, taken for the "
            f"quoting of a spreadsheet"
        )
        rows = [(number, list(map(_unquoted, row))) for number, row in rows]
    return _table(path, rows)


def _unquoted(cell: str) -> str:
    if cell.startswith('"'):
        return cell[1:-1].replace('""', '"')
    return cell


def _table(path: Path, rows: Numbered) -> list[Cells]:
    """Rows with a header.

    Empty rows, and cells beyond the header that are empty, are passed over: spreadsheets write
    them.
    """
    header: list[str] = []
    found: list[Cells] = []
    ragged: list[tuple[int, int]] = []
    empty: list[int] = []
    for start, row in rows:
        if not any(cell.strip() for cell in row):
            empty += [start] if len(row) > 1 else []
        elif not header:
            header = _header(path, row, start)
        elif len(row) < len(header) or any(cell.strip() for cell in row[len(header) :]):
            ragged.append((start, len(row)))
        else:
            found.append(Cells(f"{path}:{start}", dict(zip(header, row, strict=False))))
    if ragged:
        where = listed([f"line {number} has {cells}" for number, cells in ragged], 10)
        need = f"{len(header)} cells as the header has"
        raise Refused(
            f"{path}:{ragged[0][0]}: {len(ragged)} rows have not {need}: {where}; mend them, or "
            f"quote cells that hold a comma"
        )
    if empty:
        note(f"{path}: left aside: {len(empty)} empty rows (line {listed(map(str, empty), 5)})")
    return _without_hollow(found, header)


def _without_hollow(found: list[Cells], header: Sequence[str]) -> list[Cells]:
    """The rows without columns that have neither a name nor a value."""
    hollow = set()
    for name in header:
        if name.startswith(UNNAMED) and not any(c.values[name] for c in found):
            hollow.add(name)
    if not hollow:
        return found
    kept = []
    for c in found:
        values = {k: v for k, v in c.values.items() if k not in hollow}
        kept.append(Cells(c.where, values))
    return kept


UNNAMED = "(column "


def _header(path: Path, row: Sequence[str], start: int) -> list[str]:
    """The names of the columns, those at the right that have none cut off; others without one are
    called by their place.
    """
    last = max(i for i, name in enumerate(row, 1) if name.strip())
    names = [name.strip() or f"{UNNAMED}{i})" for i, name in enumerate(row[:last], 1)]
    if len(set(names)) != len(names):
        raise Refused(f"{path}:{start}: two columns bear one name; rename one of them")
    return names


BATCH = 1024  # rows of a parquet file that are unpacked at once


def _parquet(path: Path) -> Iterator[Cells]:
    import pyarrow
    import pyarrow.parquet

    data = raw(path)
    bound = bound_of(len(data))
    unpacked = 0
    number = 0
    rows: list[Cells] = []
    try:
        file = pyarrow.parquet.ParquetFile(io.BytesIO(data))
        groups = [
            file.metadata.row_group(i).total_byte_size for i in range(file.metadata.num_row_groups)
        ]
        if sum(groups) > bound:
            raise too_large(path, len(data))
        # a cell may be as long as its group and stand in every row of it, so few rows of a large
        # group are unpacked at once
        at_once = min(BATCH, max(16, HARMLESS // max([1, *groups])))
        for batch in file.iter_batches(batch_size=at_once):
            for row in batch.to_pylist():
                number += 1
                unpacked += _size(row)  # and not the batch's: equal texts stand in it once
                if unpacked > bound:
                    raise too_large(path, len(data))
                rows.append(Cells(f"{path}:{number}", row))
    except Refused:
        raise
    except (pyarrow.ArrowException, OSError, ValueError, OverflowError):
        raise Refused(f"{path}:{number + 1}: not a whole parquet file; copy it again") from None
    return iter(rows)


def _size(value: Any) -> int:
    """About how many bytes a value takes in memory."""
    if isinstance(value, (str, bytes)):
        return len(value)
    if isinstance(value, Mapping):
        return sum(_size(part) for part in value.values())
    if isinstance(value, (list, tuple)):
        return sum(_size(part) for part in value)
    return 8


def _txt(path: Path) -> Iterator[Cells]:
    """One text a line, as ``datasets`` reads .txt files; blank lines are passed over."""
    return (
        Cells(f"{path}:{number}", {"text": line})
        for number, line in lines_of(path, text_of(path))
        if line.strip()
    )


READERS: Mapping[str, Callable[[Path], Iterator[Cells]]] = {
    ".jsonl": jsonl,
    ".json": json_rows,
    ".csv": lambda path: iter(_csv(path)),
    ".tsv": lambda path: iter(_tsv(path)),
    ".parquet": _parquet,
    ".txt": _txt,
}
