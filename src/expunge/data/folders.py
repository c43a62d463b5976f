"""Where the rows of a benchmark lie: in a folder of the user's, else on the hub."""

from __future__ import annotations

import os
from pathlib import Path

from expunge.core.data import Examples
from expunge.core.errors import Refused
from expunge.data.read import read

SUFFIXES = (".json", ".json.gz", ".jsonl", ".jsonl.gz", ".parquet")


def benchmark_rows(
    name: str, *, data: str, folder: str, hub: str, role: str, id_prefix: str
) -> Examples:
    """The rows ``name`` of a benchmark.

    ``data`` (or EXPUNGE_DATA) is a folder with ``folder/name.json`` below it, or one that holds
    ``name.json`` itself (also .jsonl, .parquet, .gz). Without it the hub data set ``hub`` is read,
    whose config is ``name``. Refused if the rows are in neither place.
    """
    data = data or os.environ.get("EXPUNGE_DATA", "")
    if data:
        return read(_file(name, data, folder, hub), role=role, id_prefix=id_prefix, tell=False)
    try:
        return read(f"hub:{hub}:{name}@train", role=role, id_prefix=id_prefix, tell=False)
    except Refused as error:
        raise Refused(
            f"{error}; the path goes into --data (or EXPUNGE_DATA): a folder that holds "
            f"{folder}/{name}.json"
        ) from None


def _file(name: str, data: str, folder: str, hub: str) -> Path:
    instead = (
        f"it must hold {folder}/{name}.json (or .json.gz, .parquet); without --data the rows "
        f"come from hub:{hub}"
    )
    if not Path(data).is_dir():
        raise Refused(f"--data {data}: no such folder; {instead}")
    for base in (Path(data) / folder, Path(data)):
        for suffix in SUFFIXES:
            if (base / (name + suffix)).is_file():
                return base / (name + suffix)
    raise Refused(f"--data {data}: no rows {name!r} of {folder} in this folder; {instead}")
