"""Data of the user -> Examples: ``read("mine.jsonl", role="forget")``. Texts stay as they are, to the letter."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from expunge.core.errors import Refused, listed
from expunge.core.types import EMPTY, Example, Examples
from expunge.data.columns import fields_of
from expunge.data.files import KINDS, Cells, files_of, kind_of, stem_of
from expunge.data.formats import rows_of
from expunge.data.hub import hub_rows
from expunge.data.rows import example_of

BARE = re.compile(r"[\w.-]+/[\w.-]+")


def read(source: str | Path, *, role: str, columns: Mapping[str, str] | None = None, id_prefix: str | None = None) -> Examples:
    """The rows of a file, a folder or a hub data set (``hub:owner/name[:config][@split]``) as Examples of ``role``.

    Files: jsonl, json (array or JSON Lines), csv, tsv, parquet, txt (one text a line), each also as .gz; of a folder every such
    file. Columns are known by their usual names (question and answer, prompt and completion, prompt and response, instruction
    [and input] and output, query and response, input and output, text, messages) or named by ``columns`` (ours -> theirs, e.g.
    {"prompt": "my_column"}). ``paraphrased_answer``, ``perturbed_answer`` and ``paraphrased_question`` become variants,
    ``option1``... options. An ``id`` column gives ids, else they are ``id_prefix`` (by default the file's name without
    suffixes) and the row's number from 0. ``group``, ``author``, ``entity``, ``subject`` or ``document`` gives the unit of
    resampling, else it is the row.

    Refused, in one line with file:line and never with a text of the data: what cannot be read, and rows that cannot be used.
    """
    name, columns = str(source), columns or EMPTY
    if name.startswith("hub:"):
        return _unique(_examples(name, hub_rows(name), role, columns, _slug(name) if id_prefix is None else id_prefix), role, name)
    path = Path(name)
    if BARE.fullmatch(name) and not path.exists() and not path.parent.is_dir() and kind_of(path) not in KINDS:
        raise Refused(f"{name}: no such file or folder; for the data set of that name on the hub write hub:{name}")
    examples: list[Example] = []
    for file, prefix in _prefixes(path, files_of(name), id_prefix).items():
        examples += _examples(str(file), rows_of(file), role, EMPTY if kind_of(file) == ".txt" else columns, prefix)
    return _unique(examples, role, name)


def _prefixes(path: Path, files: Sequence[Path], id_prefix: str | None) -> dict[Path, str]:
    """What the ids of a file's rows begin with: its name without suffixes, with them where two files would else share it."""
    if files == [path]:
        return {path: stem_of(path) if id_prefix is None else id_prefix}
    inside = {f: f.relative_to(path) for f in files}
    short = {f: (i.parent / stem_of(f)).as_posix() for f, i in inside.items()}
    names = list(short.values())
    own = {f: s if names.count(s) == 1 else inside[f].as_posix() for f, s in short.items()}
    return own if id_prefix is None else {f: f"{id_prefix}/{s}" for f, s in own.items()}


def _slug(name: str) -> str:
    return re.sub(r"[:@]", "/", name.removeprefix("hub:"))


def _examples(file: str, cells: Sequence[Cells], role: str, columns: Mapping[str, str], prefix: str) -> list[Example]:
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
            n_bad, unusable = n_bad + 1, unusable or c.where
            continue
        examples.append(_named(example, c, fields.id) if fields.id else example)
    if bad:
        why = "; ".join(f"{fault} at line {listed(lines, 10)}" for fault, lines in bad.items())
        empty = f"the {role} set is empty: " if not examples else ""
        raise Refused(f"{unusable}: {empty}{len(examples)} usable rows of {len(cells)}: {why}; fill or remove these rows")
    return examples


def _named(example: Example, cells: Cells, column: str) -> Example:
    given = cells.values.get(column)
    if isinstance(given, bool) or not isinstance(given, (str, int)) or given == "":
        raise Refused(f"{cells.where}: the id is missing or neither a text nor a whole number; give every row one, or rename that column")
    id = str(given)
    return replace(example, id=id, group=id if example.group == example.id else example.group)


def _unique(examples: Sequence[Example], role: str, name: str) -> Examples:
    if not examples:
        raise Refused(f"the {role} set is empty ({name}: 0 usable rows of 0); it needs at least one row")
    first: dict[str, Example] = {}
    for e in examples:
        other = first.setdefault(e.id, e)
        if other is not e:
            raise Refused(f"{e.source}: the same id as {other.source}; ids must differ, so rename one or remove the row")
    return tuple(examples)
