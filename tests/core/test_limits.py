"""What is too large, too deep, endless or no file at all ends in one line, soon."""

import gzip
import json
import os
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from expunge.core.errors import Refused
from expunge.core.nesting import safe_yaml
from expunge.data import files, formats
from expunge.data.read import read
from expunge.synthesis.anchors import read_anchors
from expunge.synthesis.names import listed_names


@pytest.fixture
def small(monkeypatch):
    """The bounds of packed files at a hundredth of their size, so that a small bomb is one."""
    monkeypatch.setattr(files, "HARMLESS", 1 << 20)
    monkeypatch.setattr(formats, "HARMLESS", 1 << 20)


def test_a_gz_bomb(tmp_path, small):
    place = tmp_path / "bomb.jsonl.gz"
    place.write_bytes(gzip.compress(b" " * (1 << 23)))
    with pytest.raises(Refused, match=r"bomb.jsonl.gz: \d+ bytes unpack to more than 1 MiB"):
        read(place, role="forget")
    rows = b"".join(json.dumps({"text": f"row {i}"}).encode() + b"\n" for i in range(60_000))
    place.write_bytes(gzip.compress(rows))
    assert len(read(place, role="forget")) == 60_000  # 1.3 MB of rows that pack as rows do


def test_a_parquet_bomb(tmp_path, small):
    same = lambda text, n: pa.DictionaryArray.from_arrays(
        pa.array([0] * n, pa.int32()), pa.array([text])
    )
    place = tmp_path / "bomb.parquet"
    pq.write_table(
        pa.table({"question": same("q" * 2_000, 100_000), "answer": same("a", 100_000)}), place
    )
    began = time.monotonic()
    with pytest.raises(Refused, match=r"bomb.parquet: \d+ bytes unpack to more than \d MiB"):
        read(place, role="forget")
    assert time.monotonic() - began < 5
    pq.write_table(pa.table({"question": same("q" * 200, 100), "answer": same("a", 100)}), place)
    assert len(read(place, role="forget")) == 100


def test_a_parquet_value_that_python_cannot_hold(tmp_path):
    place = tmp_path / "a.parquet"
    pq.write_table(
        pa.table(
            {"question": ["q"], "answer": ["a"], "took": pa.array([1 << 62], pa.duration("s"))}
        ),
        place,
    )
    with pytest.raises(Refused, match=r"a.parquet:1: not a whole parquet file"):
        read(place, role="forget")


def test_pipes_and_devices_are_no_files(tmp_path):
    os.mkfifo(tmp_path / "pipe.jsonl")
    (tmp_path / "zero.jsonl").symlink_to("/dev/zero")
    for name in ("pipe.jsonl", "zero.jsonl"):
        with pytest.raises(Refused, match=f"{name}: a pipe or a device and no file"):
            read(tmp_path / name, role="forget")
        with pytest.raises(Refused, match=f"--names .*{name}: cannot be read"):
            listed_names(tmp_path / name)
        with pytest.raises(Refused, match=f"--anchors .*{name}: cannot be read"):
            read_anchors(tmp_path / name)
    with pytest.raises(Refused, match="no data files in this folder"):
        read(tmp_path, role="forget")


@pytest.mark.parametrize("name", ["hub:../..", "hub:./owner", "hub:owner/..", "hub:.hidden/rows"])
def test_a_path_is_no_name_of_the_hub(name):
    began = time.monotonic()
    with pytest.raises(Refused, match="a path and no name of a hub data set"):
        read(name, role="forget")
    assert time.monotonic() - began < 1


def test_a_folder_is_not_read_in_place_of_the_hub(tmp_path, monkeypatch):
    (tmp_path / "owner" / "name").mkdir(parents=True)
    (tmp_path / "owner" / "name" / "train.jsonl").write_text('{"question": "q", "answer": "a"}\n')
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Refused, match="hub:owner/name: owner/name is also a folder here"):
        read("hub:owner/name", role="forget")


def test_halves_of_surrogate_pairs(tmp_path):
    place = tmp_path / "a.jsonl"
    whole = {"question": "q", "answer": "a", "option1": "x", "option2": "y", "group": "g"}
    for column in ("group", "option1"):
        place.write_text(json.dumps({**whole, column: "\ud800"}) + "\n")
        with pytest.raises(Refused, match=f"{column} is not valid Unicode"):
            read(place, role="forget")
    place.write_text(json.dumps({**whole, "id": "\ud800"}) + "\n")
    with pytest.raises(Refused, match=r"a.jsonl:1: the id is not valid Unicode"):
        read(place, role="forget")
    place.write_text(json.dumps({**whole, "group": ["g"]}) + "\n")
    with pytest.raises(Refused, match="group is neither a text nor a number"):
        read(place, role="forget")


def test_an_option_of_thousands_of_digits(tmp_path):
    place = tmp_path / "a.jsonl"
    place.write_text(
        json.dumps({"question": "q", "answer": "a", "option" + "1" * 5000: "x"}) + "\n"
    )
    assert read(place, role="forget")[0].options == ()


def test_yaml_of_a_hundred_thousand_brackets(tmp_path):
    began = time.monotonic()
    for text in ("[" * 100_000, "a: " + "{" * 100_000):
        with pytest.raises(ValueError, match="nested more than 64 deep"):
            safe_yaml(text)
        (tmp_path / "a.yaml").write_text(text)
        with pytest.raises(Refused, match=r"--anchors .*a.yaml: cannot be read"):
            read_anchors(tmp_path / "a.yaml")
    assert time.monotonic() - began < 1
    assert safe_yaml("a: [[1, {b: 2}], 3]") == {"a": [[1, {"b": 2}], 3]}
