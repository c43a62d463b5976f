"""Rows of the hub, out of its local cache."""

import datasets
import pytest
from data_files import ROWS, SECRET, lines, put, refused

from expunge.core.errors import Refused
from expunge.data.folders import benchmark_rows
from expunge.data.read import read


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """``load_dataset`` finds "someone/rows" in a local folder of the hub's layout; nothing else
    exists.
    """
    place = tmp_path / "hub"
    configs = "".join(
        f"- config_name: {c}\n  data_files:\n  - split: {s}\n    path: {c}.json\n"
        for c, s in (("one", "train"), ("two", "test"))
    )
    put(place, "README.md", f"---\nconfigs:\n{configs}---\n")
    put(place, "one.json", lines())
    put(place, "two.json", lines(ROWS[:2]))
    monkeypatch.setenv("HF_TOKEN", SECRET)
    local = lambda repo: str(place) if repo == "someone/rows" else repo
    load, names = datasets.load_dataset, datasets.get_dataset_config_names
    monkeypatch.setattr(
        datasets,
        "load_dataset",
        lambda repo, *a, **k: load(local(repo), *a, cache_dir=str(tmp_path / "cache"), **k),
    )
    monkeypatch.setattr(datasets, "get_dataset_config_names", lambda repo: names(local(repo)))
    return place


def test_rows_of_the_hub(hub):
    found = read("hub:someone/rows:one@train", role="r")
    assert [e.answer for e in found] == [r["answer"] for r in ROWS]
    assert (
        found[1].source == "hub:someone/rows:one@train:2"
        and found[1].id == "someone/rows/one/train/1"
    )
    assert len(read("hub:someone/rows:two", role="r")) == 2
    assert len(read("hub:someone/rows:one@train[:2]", role="r")) == 2


def test_hub_refusals(hub, capfd):
    refused("hub:someone/rows:too@train", "no config 'too' in this data set; did you mean two?")
    refused("hub:someone/rows:one@test", "no such split or config; configs are one, two")
    refused(
        "hub:someone/else:one",
        "hub:someone/else:one: not in the local cache",
        "pass a path, or set HF_TOKEN",
    )
    refused("hub:rows", "write hub:owner/name")
    with pytest.raises(
        Refused,
        match=r"the path goes into --data \(or EXPUNGE_DATA\): a folder that holds tofu/full.json",
    ):
        benchmark_rows("full", data="", folder="tofu", hub="someone/else", role="r", id_prefix="p")
    assert SECRET not in "".join(capfd.readouterr())
