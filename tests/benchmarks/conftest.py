"""Rows of a hub's shape, written by the tests themselves; nothing comes from outside."""

import json

import pytest


@pytest.fixture(autouse=True)
def no_folder_from_outside(monkeypatch):
    monkeypatch.delenv("EXPUNGE_DATA", raising=False)


@pytest.fixture
def data(shared):
    return shared / "data"


@pytest.fixture
def put(tmp_path):
    """``put("elude/forget_qa-train", rows)`` writes json lines below tmp_path, a parquet file if
    the name says so.
    """

    def write(name, rows):
        path = tmp_path / (name if "." in name.rsplit("/", 1)[-1] else name + ".jsonl")
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".parquet":
            import pyarrow as pa
            import pyarrow.parquet as pq

            pq.write_table(pa.Table.from_pylist(rows), path)
        elif isinstance(rows, str):
            path.write_text(rows)
        else:
            path.write_text("".join(json.dumps(r) + "\n" for r in rows))
        return tmp_path

    return write
