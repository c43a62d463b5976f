"""Records on disk: numbers and salted ids in parquet, texts in a private file of their own.

Ids and groups may be names of people, and a plain hash of a known name is as good as the name; so
they are written as keyed hashes (HMAC-SHA256 under the run's salt). The same salt must be used for
what is to be matched later (this model and its gold).
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from expunge.core.errors import Refused
from expunge.core.files import make_folder, private_folder, unfinished
from expunge.core.former_names import current_key
from expunge.core.results import Record, Records
from expunge.evaluation.needs import recorded

SCHEMA = 2
PLAIN: dict[str, Any] = {
    "subject": pa.string(),
    "role": pa.string(),
    "id": pa.string(),
    "group": pa.string(),
    "variant": pa.string(),
    "n_tokens": pa.int32(),
    "eos": pa.bool_(),
    "chars": pa.int32(),
    "zlib": pa.int32(),
    "mean_loss": pa.float64(),
    "right": pa.int32(),
    "unfinished": pa.bool_(),
    "prefix": pa.int32(),
}
ARRAYS: dict[str, Any] = {
    "logp": pa.float32(),
    "hit": pa.bool_(),
    "rank": pa.int32(),
    "mean_logp": pa.float32(),
    "var_logp": pa.float32(),
    "entropy": pa.float32(),
    "options": pa.float32(),
    "option_tokens": pa.int32(),
}
TEXTS = ("answer", "generated", "question", "also")  # and the fields of observations that are texts
KINDS: dict[str, Any] = {
    "float32": pa.float32(),
    "float64": pa.float64(),
    "int32": pa.int32(),
    "bool": pa.bool_(),
}


def observed_arrays() -> dict[str, Any]:
    """The fields of observations that are numbers, with their types in parquet."""
    return {name: KINDS[field.kind] for name, field in recorded().items() if field.kind != "text"}


def observed_texts() -> tuple[str, ...]:
    """The fields of observations that are texts."""
    return tuple(name for name, field in recorded().items() if field.kind == "text")


def for_run_folder(records: Iterable[Record]) -> Iterator[Record]:
    """The records without the fields that a run folder does not keep."""
    dropped = {name for name, field in recorded().items() if not field.in_runs}
    for record in records:
        yield replace(
            record, observed={n: x for n, x in record.observed.items() if n not in dropped}
        )


def salted(name: str, salt: str) -> str:
    """The keyed hash that stands for an id or a group on disk: 32 hex digits."""
    return hmac.new(salt.encode(), name.encode(), hashlib.sha256).hexdigest()[:32]


def with_salted_ids(records: Iterable[Record], salt: str) -> Records:
    """The same rows with salted ids and groups, as they come back from disk."""
    return Records(replace(r, id=salted(r.id, salt), group=salted(r.group, salt)) for r in records)


def _lists(arrays: Sequence[np.ndarray | None], kind: Any) -> Any:
    """Per-row arrays (None where there is none) as one list column."""
    lengths = [0 if a is None else len(a) for a in arrays]
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())
    present = [np.asarray(a) for a in arrays if a is not None]
    flat = pa.array(np.concatenate(present) if present else [], type=kind, safe=False)
    return pa.ListArray.from_arrays(
        offsets, flat, mask=pa.array([a is None for a in arrays], pa.bool_())
    )


def write_records(records: Iterable[Record], path: str | Path, *, salt: str | None = None) -> None:
    """Write the numbers of ``records`` to a parquet file; ids and groups salted (None: they are
    already), texts left out.

    Token values are kept as float32, what a log gave as float64. The file appears when it is
    complete.
    """
    rows = list(records)
    columns = {
        name: pa.array([getattr(r, name) for r in rows], kind) for name, kind in PLAIN.items()
    }
    for name in ("id", "group"):
        columns[name] = pa.array([_id(getattr(r, name), salt) for r in rows], pa.string())
    columns |= {
        name: _lists([getattr(r, name) for r in rows], kind) for name, kind in ARRAYS.items()
    }
    columns |= {
        name: _lists([r.observed.get(name) for r in rows], kind)
        for name, kind in observed_arrays().items()
    }
    columns["given"] = pa.array(
        [list(r.given.items()) for r in rows], pa.map_(pa.string(), pa.float64())
    )
    table = pa.table(columns).replace_schema_metadata({"expunge.records": str(SCHEMA)})
    make_folder(Path(path).parent)
    with unfinished(Path(path)) as part:
        pq.write_table(table, part, compression="zstd")


def _id(name: str, salt: str | None) -> str:
    return name if salt is None else salted(name, salt)


def write_texts(records: Iterable[Record], path: str | Path, *, salt: str | None = None) -> None:
    """Write the texts of ``records`` to a private JSON Lines file (mode 0600, its folder 0700),
    found by salted id.
    """

    place = Path(path)
    private_folder(place.parent)
    with unfinished(place, 0o600) as part, part.open("w", encoding="utf-8") as out:
        for r in records:
            texts = {name: getattr(r, name) for name in TEXTS if getattr(r, name) is not None}
            texts |= {name: r.observed[name] for name in observed_texts() if name in r.observed}
            if texts:
                key = {
                    "subject": r.subject,
                    "role": r.role,
                    "id": _id(r.id, salt),
                    "variant": r.variant,
                }
                out.write(json.dumps(key | texts, ensure_ascii=False) + "\n")


def _parts(path: Path) -> list[Path]:
    """The parquet files of a folder in the order of their numbers, or the file itself."""
    if not path.is_dir():
        return [path]
    number = {p: p.stem.rpartition("-")[2] for p in path.glob("part-*.parquet")}
    return sorted(number, key=lambda p: (int(number[p]) if number[p].isdigit() else -1, p.name))


def _read_texts(path: Path) -> dict[tuple[str, ...], dict[str, Any]]:
    """The texts of each row by its key, those of observations under ``observed``."""
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    with open(path, encoding="utf-8") as lines:
        for n, line in enumerate(lines, 1):
            try:
                row = json.loads(line)
                key = tuple(row[k] for k in ("subject", "role", "id", "variant"))
                texts = {t: tuple(row[t]) if t == "also" else row[t] for t in TEXTS if t in row}
                observed = {t: tuple(row[t]) for t in observed_texts() if t in row}
            except (ValueError, KeyError, TypeError):
                raise Refused(
                    f"{path}:{n}: not a line of texts that belongs to records; measure again"
                ) from None
            found[key] = texts | {"observed": observed}
    return found


def read_records(path: str | Path, texts: str | Path | None = None) -> Records:
    """Read what ``write_records`` wrote: a parquet file, or a folder of part-*.parquet.

    Ids and groups stay salted.

    ``texts``: the private file of ``write_texts``; without it ``answer`` and ``generated`` are
    None.
    """
    place = Path(path)
    files = _parts(place)
    if not files or not all(f.exists() for f in files):
        raise Refused(f"{place}: no records here; measure first (expunge eval)")
    words = _read_texts(Path(texts)) if texts is not None else {}
    return Records(r for f in files for r in _read_part(f, words))


def _read_part(path: Path, words: dict[tuple[str, ...], dict[str, Any]]) -> list[Record]:
    try:
        table = pq.read_table(path)
        made = (table.schema.metadata or {}).get(b"expunge.records", b"none").decode()
        if made != str(SCHEMA):
            raise Refused(
                f"{path}: records of schema {made}, and this version reads {SCHEMA}; measure again"
            )
        columns = {name: table.column(name).to_pylist() for name in (*PLAIN, "given")}
        columns |= {name: _arrays(table.column(name)) for name in ARRAYS}
        # older files know fewer observations
        present = [name for name in observed_arrays() if name in table.column_names]
        observed = {name: _arrays(table.column(name)) for name in present}
    except (pa.ArrowException, KeyError, OSError) as e:
        raise Refused(
            f"{path}: not a whole file of records ({type(e).__name__}); measure again"
        ) from None
    rows = []
    for i in range(table.num_rows):
        row: dict[str, Any] = {name: column[i] for name, column in columns.items()}
        row["given"] = {current_key(name): value for name, value in row["given"] or ()}
        key = (row["subject"], row["role"], row["id"], row["variant"])
        row |= words.get(key, {})
        arrays = {name: column[i] for name, column in observed.items() if column[i] is not None}
        row["observed"] = {**row.get("observed", {}), **arrays}
        rows.append(Record(**row))
    return rows


def _arrays(column: Any) -> list[np.ndarray | None]:
    """A list column as numpy arrays, None where the row has none."""
    found: list[np.ndarray | None] = []
    for chunk in column.chunks:
        flat, offsets = chunk.values.to_numpy(zero_copy_only=False), chunk.offsets.to_numpy()
        there = chunk.is_valid().to_numpy(zero_copy_only=False)
        found += [
            flat[a:b] if ok else None for a, b, ok in zip(offsets, offsets[1:], there, strict=False)
        ]
    return found
