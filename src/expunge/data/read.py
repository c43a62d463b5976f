"""Data of the user -> Examples: ``read("mine.jsonl", role="forget")``.

Texts stay as they are, to the letter.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from expunge.core.data import Example, Examples
from expunge.core.errors import Refused, listed
from expunge.core.notes import note
from expunge.core.results import EMPTY
from expunge.data.columns import PEOPLE, Fields, fields_of, shown
from expunge.data.files import KINDS, Cells, files_of, kind_of, stem_of
from expunge.data.formats import as_row, rows_of
from expunge.data.hub import hub_rows, is_saved, saved_rows
from expunge.data.rows import example_of
from expunge.data.turns import other_keys, text_fault

SURELY = "text:"  # before a file's name: its lines are texts, however short
# a line of so few words that ends in no mark is hardly a text
FEW_WORDS, ENDS = 4, (".", "!", "?", ":", ";", "。", "！", "？")
BARE = re.compile(r"[\w.-]+/[\w.-]+")


def read(
    source: str | Path,
    *,
    role: str,
    columns: Mapping[str, str] | None = None,
    id_prefix: str | None = None,
    tell: bool = True,
) -> Examples:
    """The rows of a file, a folder or a hub data set (``hub:owner/name[:config][@split]``) as
    Examples of ``role``.

    Files: jsonl, json (array or JSON Lines), csv, tsv, parquet, txt (one text a line), each also as
        .gz; of a folder every such file; also a folder that ``datasets`` saved to disk. Columns are
        known by their usual names (question and answer, prompt and completion, prompt and response,
        instruction [and input] and output, query and response, input and output, text, messages,
        conversations) or named by ``columns`` (ours -> theirs, e.g. {"prompt": "my_column"}). What
        belongs to the prompt is read with it: ``context`` stands behind it, ``history`` and
        ``system`` (or system_prompt) are turns before it; {"context": ""} leaves one aside. Turns
        may have roles and contents of several shapes (see ``data.turns``). ``paraphrased_answer``,
        ``perturbed_answer`` and ``paraphrased_question`` become variants, ``option1``... options.
        An ``id`` column gives ids, else they are ``id_prefix`` (by default the file's name without
        suffixes) and the row's number from 0. ``group``, ``author``, ``entity``, ``subject`` or
        ``document`` gives the unit of resampling, else a column that says whose the row is
        (``columns.PEOPLE``: customer_id, user, name ...; one line says so), else it is the row;
        {"group": ""} makes it the row.

    A .txt file whose lines are all of a few words could be a list of names as well: refused, unless
    it is given as ``text:FILE``.

    One line (see ``core.notes``) names the columns and keys of turns that are left aside, unless
    ``tell`` is False (files of a benchmark, whose columns are known). Refused, in one line with
    file:line and never with a text of the data: what cannot be read, and rows that cannot be used.
    """
    name = str(source)
    columns = columns or EMPTY
    sure = name.startswith(SURELY)
    name = name.removeprefix(SURELY)
    if name.startswith("hub:"):
        prefix = _slug(name) if id_prefix is None else id_prefix
        return _unique(_examples(name, hub_rows(name), role, columns, prefix, tell), role, name)
    path = Path(name)
    if is_saved(path):
        prefix = path.name if id_prefix is None else id_prefix
        return _unique(_examples(name, saved_rows(path), role, columns, prefix, tell), role, name)
    if (
        BARE.fullmatch(name)
        and not path.exists()
        and not path.parent.is_dir()
        and kind_of(path) not in KINDS
    ):
        raise Refused(
            f"{name}: no such file or folder; for the data set of that name on the hub write "
            f"hub:{name}"
        )
    examples: list[Example] = []
    for file, prefix in _prefixes(path, files_of(name), id_prefix).items():
        plain = kind_of(file) == ".txt"
        examples += _examples(
            str(file), rows_of(file), role, EMPTY if plain else columns, prefix, tell
        )
        if plain and tell and not sure:
            _check_texts(file, examples)
    return _unique(examples, role, name)


def _check_texts(file: Path, examples: Sequence[Example]) -> None:
    """Refuse a .txt file that could be a list of names: no line is a sentence."""
    lines = [e.text or "" for e in examples]
    if lines and all(
        len(text.split()) <= FEW_WORDS and not text.rstrip().endswith(ENDS) for text in lines
    ):
        most = max(len(text.split()) for text in lines)
        raise Refused(
            f"{file}: {len(lines)} lines of at most {most} words: a list of names, or texts? names "
            f"to look for go to --names FILE; "
            f"if every line is a text to be read as it stands, write {SURELY}{file}"
        )


def read_objects(rows: Iterable[Any], *, role: str) -> Examples:
    """Rows that stand in memory, read as ``read`` reads those of a file: mappings, texts, Examples
    (which get ``role``), data frames.

    ``rows`` may be any iterable of them, a table of pandas, or a data set of ``datasets``. Errors
    name a row by ``ROLE rows:NUMBER``, from 1; ids are ``ROLE/NUMBER``, from 0, where no column
    gives them.

    Refused: what ``read`` refuses, a mapping of columns instead of a list of rows, no row at all.
    """
    if isinstance(rows, Mapping):
        raise Refused(
            f"the {role} rows are one mapping ({shown(map(str, rows))}); give a list of rows, or "
            f"one split of the data set"
        )
    if hasattr(rows, "columns") and hasattr(rows, "iloc"):
        records = getattr(rows, "to_dict", None)
    else:
        records = None
    name = f"{role} rows"
    given: list[Any] = list(records("records") if callable(records) else rows)
    if given and all(isinstance(row, Example) for row in given):
        return tuple(replace(row, role=role) for row in given)
    cells: list[Cells] = []
    for number, row in enumerate(given, 1):
        values = as_row(dict(row) if isinstance(row, Mapping) else row)
        if values is None:
            what = "an Example among mappings" if isinstance(row, Example) else type(row).__name__
            raise Refused(
                f"{name}:{number}: {what}; give mappings with question and answer, texts, or "
                f"Examples alone"
            )
        cells.append(
            Cells(f"{name}:{number}", {str(key): _plain(value) for key, value in values.items()})
        )
    return _unique(_examples(name, cells, role, EMPTY, role, tell=True), role, name)


def _plain(value: Any) -> Any:
    """Arrays and scalars of numpy as Python's own; everything else as it is."""
    if hasattr(value, "tolist") and hasattr(value, "dtype"):
        return value.tolist()
    return value


def _prefixes(path: Path, files: Sequence[Path], id_prefix: str | None) -> dict[Path, str]:
    """What the ids of a file's rows begin with: its name without suffixes, with them where two
    files would else share it.
    """
    if files == [path]:
        return {path: stem_of(path) if id_prefix is None else id_prefix}
    inside = {f: f.relative_to(path) for f in files}
    short = {f: (i.parent / stem_of(f)).as_posix() for f, i in inside.items()}
    names = list(short.values())
    own = {f: s if names.count(s) == 1 else inside[f].as_posix() for f, s in short.items()}
    if id_prefix is None:
        return own
    return {f: f"{id_prefix}/{s}" for f, s in own.items()}


def _slug(name: str) -> str:
    return re.sub(r"[:@]", "/", name.removeprefix("hub:"))


def _examples(
    file: str,
    cells: Sequence[Cells],
    role: str,
    columns: Mapping[str, str],
    prefix: str,
    tell: bool,
) -> list[Example]:
    if not cells:
        return []
    found = list(dict.fromkeys(name for c in cells for name in c.values))
    fields = fields_of(file, found, columns)
    examples: list[Example] = []
    bad: dict[str, list[str]] = {}
    unusable = ""
    n_bad = 0
    for number, c in enumerate(cells):
        example, faults = example_of(c, fields, role, f"{prefix}/{number}")
        for fault in faults:
            bad.setdefault(fault, []).append(c.where.rsplit(":", 1)[1])
        if example is None:
            n_bad = n_bad + 1
            unusable = unusable or c.where
            continue
        examples.append(_named(example, c, fields.id) if fields.id else example)
    if bad:
        why = "; ".join(f"{fault} at line {listed(lines, 10)}" for fault, lines in bad.items())
        empty = f"the {role} set is empty: " if not examples else ""
        raise Refused(
            f"{unusable}: {empty}{len(examples)} usable rows of {len(cells)}: {why}; fill or "
            f"remove these rows"
        )
    if tell:
        _left_aside(file, cells, found, fields)
        if fields.group.lower() in PEOPLE and "group" not in columns:
            groups = len({e.group for e in examples})
            note(
                f"{file}: {len(examples)} rows in {groups} groups by the column {fields.group} "
                f"(--columns group= chooses another, or none)"
            )
    return examples


def _left_aside(file: str, cells: Sequence[Cells], found: Sequence[str], fields: Fields) -> None:
    """One line for the columns that hold something and are not read, and one for such keys of
    turns.
    """
    unread = [name for name in found if name not in fields.used]
    held = []
    for name in unread:
        if any(c.values.get(name) not in (None, "", [], {}) for c in cells):
            held.append(name)
    if held:
        say = "what they hold reaches neither prompt nor answer (--columns says what is read)"
        note(f"{file}: left aside: {len(held)} of {len(found)} columns: {shown(held)}; {say}")
    keys: set[str] = set()
    for column in {fields.messages, fields.prompt, fields.answer} - {""}:
        for c in cells:
            keys.update(other_keys(c.values.get(column)))
    if keys:
        note(
            f"{file}: left aside: in turns, {shown(sorted(keys))}; role, content and calls of "
            f"tools are read"
        )


def _named(example: Example, cells: Cells, column: str) -> Example:
    given = cells.values.get(column)
    if isinstance(given, bool) or not isinstance(given, (str, int)) or given == "":
        raise Refused(
            f"{cells.where}: the id is missing or neither a text nor a whole number; give every "
            f"row one, or rename that column"
        )
    id = str(given)
    fault = text_fault(id)
    if fault:
        raise Refused(f"{cells.where}: the id {fault}; give every row one, or rename that column")
    return replace(example, id=id, group=id if example.group == example.id else example.group)


def _unique(examples: Sequence[Example], role: str, name: str) -> Examples:
    if not examples:
        raise Refused(
            f"the {role} set is empty ({name}: 0 usable rows of 0); it needs at least one row"
        )
    first: dict[str, Example] = {}
    for e in examples:
        other = first.setdefault(e.id, e)
        if other is not e:
            raise Refused(
                f"{e.source}: the same id as {other.source}; ids must differ, so rename one or "
                f"remove the row"
            )
    return tuple(examples)
