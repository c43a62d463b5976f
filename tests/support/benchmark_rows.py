"""Rows in the published layouts of the benchmarks, and what the tests know of every benchmark.

The test of a benchmark, ``tests/benchmarks/test_NAME.py``, says what the conformance suite needs:

- ``WANTED``: split -> where its rows are to be had, as the message about absent rows says it.
- ``LAYOUT``: file -> rows, the smallest folder of ``--data`` with which it can be made.
- ``SPLIT``: the split that these rows are of; "" is the default one.
- ``OPTIONAL``: file -> the role that is left out where the file is absent.
- ``REAL``: split -> the folder of its real rows below the shared ones, where they are at hand.

A benchmark that is generated needs none of them.
"""

import importlib.util
import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from expunge import registry
from expunge.models.causal_lm import tiny

TESTS = Path(__file__).resolve().parents[1] / "benchmarks"
STEPHEN = "rwku/1_Stephen_King"
GENERATED = ("builtin", "digits", "pistol", "waterdrum")


@cache
def said_of(name):
    """The module ``tests/benchmarks/test_NAME.py``."""
    place = TESTS / f"test_{name}.py"
    assert place.is_file(), f"write tests/benchmarks/test_{name}.py: rows and the case of them"
    spec = importlib.util.spec_from_file_location(f"benchmark_test_{name}", place)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def with_constant(constant):
    """The benchmarks whose test defines a constant or function of this name."""
    return [name for name in registry.names("benchmarks") if hasattr(said_of(name), constant)]


def wanted():
    """``name`` or ``name:split`` -> where the rows are to be had."""
    found = {}
    for name in with_constant("WANTED"):
        for split, place in said_of(name).WANTED.items():
            found[f"{name}:{split}" if split else name] = place
    return found


def make(name, split="", **arguments):
    """The benchmark of a name, by its default split unless another is given."""
    return registry.resolve("benchmarks", name, ({"split": split} if split else {}) | arguments)


def write(folder, name, rows):
    """Rows as a file below a folder: json lines, or what the suffix of the name says."""
    path = folder / (name if "." in name.rsplit("/", 1)[-1] else name + ".jsonl")
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.Table.from_pylist(rows), path)
    elif isinstance(rows, np.ndarray):
        np.save(path, rows)
    elif isinstance(rows, str):
        path.write_text(rows)
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows))
    else:
        path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    return path


@pytest.fixture
def put(tmp_path):
    """``put("elude/forget_qa-train", rows)`` writes a file below tmp_path, which it returns."""

    def written(name, rows):
        write(tmp_path, name, rows)
        return tmp_path

    return written


@pytest.fixture
def data(shared):
    """The folder of real rows."""
    return shared / "data"


@pytest.fixture(autouse=True)
def no_folder_from_outside(monkeypatch):
    monkeypatch.delenv("EXPUNGE_DATA", raising=False)


def sizes(roles):
    """role -> how many rows."""
    return {role: len(rows) for role, rows in roles.items()}


def qa(n, **more):
    """Questions with answers; further columns are values, or functions of the row's number."""
    made = []
    for i in range(n):
        row = {"question": f"Q {i}?", "answer": f"A {i}"}
        for column, value in more.items():
            row[column] = value(i) if callable(value) else value
        made.append(row)
    return made


def choices(n, **more):
    """Questions with four options each."""
    return [
        {"question": f"Q {i}?", "choices": [f"o{i}", "p", "q", "r"], "answer": i % 4} | more
        for i in range(n)
    ]


def texts(name, n=4):
    return [{"text": f"{name} {i}"} for i in range(n)]


def tiny_of(some):
    """(model, tokenizer) of the words of some texts."""
    return tiny.build(some, seed=0)
