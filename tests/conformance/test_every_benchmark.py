# ruff: noqa: F401, F811 (fixtures are imported by name)
"""What every benchmark owes: made by the package itself, from the smallest folder in its published
layout, and from real rows.
"""

import importlib
import random

import datasets
import numpy as np
import pytest
from benchmark_rows import (
    GENERATED,
    data,
    make,
    no_folder_from_outside,
    put,
    said_of,
    wanted,
    with_constant,
    write,
)

from expunge import registry
from expunge.core.errors import Refused
from expunge.data.overlap import overlap

NAMES = registry.names("benchmarks")
LAID_OUT = with_constant("LAYOUT")
REAL = [(name, split) for name in with_constant("REAL") for split in said_of(name).REAL]
FILES = [(name, file) for name in LAID_OUT for file in said_of(name).LAYOUT]
OPTIONAL = [
    (name, file, role)
    for name in with_constant("OPTIONAL")
    for file, role in said_of(name).OPTIONAL.items()
]
WANTED = wanted()
BROUGHT = ("holdout",)  # a role that an option brings


def laid_out(folder, name, without=""):
    """A benchmark made from its smallest folder, one file of it left away."""
    said = said_of(name)
    for file, rows in said.LAYOUT.items():
        if file != without:
            write(folder, file, rows)
    return make(name, getattr(said, "SPLIT", ""), data=str(folder))


def file_of(folder, file):
    """Where ``write`` has put it."""
    (place,) = [p for p in (folder / file, folder / f"{file}.jsonl") if p.is_file()]
    return place


def check(bench, name):
    """A case that a run can use: roles, ids, groups, metrics and their arguments fit together."""
    case = bench.case
    assert bench.name == name and case.evaluate
    for role, rows in (*case.evaluate.items(), *case.train.items()):
        assert rows, role
        assert len({e.id for e in rows}) == len(rows), role
        assert all(e.group for e in rows), role
    for role, rows in case.evaluate.items():
        assert {e.role for e in rows} == {role}
    for metric, role in bench.metrics:
        card = importlib.import_module(f"expunge.metrics.{metric}").card
        assert card.whole == (role is None), metric
        assert role is None or role in case.evaluate or role in bench.absent, (metric, role)
    known = {m for m, _ in bench.metrics} | {f"{r}/{m}" for m, r in bench.metrics}
    assert {key for key in bench.arguments if key.split("/")[0] not in bench.absent} <= known
    for metric, arguments in bench.arguments.items():
        own = {a.name for a in registry.member("metrics", metric.rpartition("/")[2]).arguments}
        assert set(arguments) <= own
    assert set(bench.generate) <= {"max_new_tokens", "max_length", "roles", "cut"}
    named = set(bench.generate.get("roles", {})) | set(bench.generate.get("cut", ()))
    assert named <= {*case.evaluate, *bench.absent, *BROUGHT}
    if {"forget", "retain"} <= set(case.train):
        assert not overlap(case.train["forget"], case.train["retain"])


def plain(bench):
    """All that two equal benchmarks share."""
    return bench.name, bench.case, tuple(bench.metrics), dict(bench.absent)


@pytest.mark.parametrize("name", NAMES)
def test_its_own_test_stands_under_its_name(name):
    said = said_of(name)
    assert name in GENERATED or (hasattr(said, "LAYOUT") and hasattr(said, "WANTED")), (
        f"tests/benchmarks/test_{name}.py must say its LAYOUT and where its rows are WANTED from"
    )


@pytest.mark.parametrize("name", GENERATED)
def test_a_generated_one_is_whole_the_same_every_time_and_draws_no_global_numbers(name):
    make(name)  # what a library draws when it is imported is not the benchmark's
    random.seed(3)
    np.random.seed(3)
    wanted = random.random(), np.random.random()
    random.seed(3)
    np.random.seed(3)
    bench = make(name)
    check(bench, name)
    assert plain(bench) == plain(make(name)) and not bench.absent
    assert (random.random(), np.random.random()) == wanted


@pytest.mark.parametrize("name", LAID_OUT)
def test_in_its_published_layout(name, tmp_path):
    bench = laid_out(tmp_path, name)
    check(bench, name)
    assert plain(bench) == plain(laid_out(tmp_path, name))
    for rows in bench.case.evaluate.values():
        assert all(e.source for e in rows)


@pytest.mark.parametrize(("name", "split"), REAL)
def test_on_real_rows(name, split, data):
    bench = make(name, split, data=str(data / said_of(name).REAL[split]))
    check(bench, name)
    for rows in bench.case.evaluate.values():
        assert all(e.source for e in rows)


@pytest.mark.parametrize(
    ("name", "split"), [r for r in REAL if r[0] in ("dusk", "knowundo", "lume")]
)
def test_one_id_is_one_row_in_whatever_role(name, split, data):
    of = {}
    for rows in make(name, split, data=str(data)).case.evaluate.values():
        for e in rows:
            said = (e.prompt, e.answer, e.text)
            assert of.setdefault(e.id, said) == said


@pytest.mark.parametrize("name", NAMES)
def test_a_split_that_is_none_is_refused_by_name(name, tmp_path):
    if name in LAID_OUT:
        laid_out(tmp_path, name)
    with pytest.raises(Refused) as caught:
        make(name, "no-such-split", data=str(tmp_path)) if name in LAID_OUT else make(
            name, "nosuch"
        )
    assert "no" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("name", NAMES)
def test_an_argument_that_it_does_not_have_is_refused(name):
    with pytest.raises(Refused, match="splt"):
        make(name, splt="x")


# ------------------------------------------------------------------ absent and damaged rows


@pytest.mark.parametrize(("name", "file"), FILES)
def test_each_file_is_needed_and_its_absence_named(name, file, tmp_path):
    with pytest.raises(Refused) as caught:
        laid_out(tmp_path, name, without=file)
    said = str(caught.value)
    assert file.rsplit("/", 1)[-1].split(".")[0].split("-")[0] in said and "\n" not in said


@pytest.mark.parametrize(("name", "file"), [f for f in FILES if not f[1].endswith(".txt")])
def test_a_file_cut_off_is_refused_by_its_line(name, file, tmp_path):
    laid_out(tmp_path, name)
    place = file_of(tmp_path, file)
    place.write_bytes(place.read_bytes()[:-3])
    split = getattr(said_of(name), "SPLIT", "")
    with pytest.raises(Refused, match=rf"{place.name}:\d+") as caught:
        make(name, split, data=str(tmp_path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("name", "file"), FILES)
def test_an_empty_file_is_refused(name, file, tmp_path):
    laid_out(tmp_path, name)
    file_of(tmp_path, file).write_bytes(b"")
    with pytest.raises(Refused, match=rf"{file_of(tmp_path, file).name}:(1| 0 usable rows)"):
        make(name, getattr(said_of(name), "SPLIT", ""), data=str(tmp_path))


@pytest.mark.parametrize(("name", "file", "role"), OPTIONAL)
def test_what_is_absent_is_named_and_what_is_damaged_is_refused(
    name, file, role, tmp_path, monkeypatch
):
    """A file that is cut off or empty is not taken for one that is not there; a folder named by the
    environment is as good as --data.
    """
    split = getattr(said_of(name), "SPLIT", "")
    found = laid_out(tmp_path, name)
    assert file.rsplit("/", 1)[-1] in found.absent[role] and "\n" not in found.absent[role]
    monkeypatch.setenv("EXPUNGE_DATA", str(tmp_path))
    assert make(name, split).absent == found.absent
    write(tmp_path, f"{file}.jsonl", '{"question": "Q", "text": "t"}\n{"question": "Q", "te')
    with pytest.raises(Refused, match=rf"{file}.jsonl:2: 1 of 2 lines are not JSON objects"):
        make(name, split)
    write(tmp_path, f"{file}.jsonl", "")
    with pytest.raises(Refused, match=rf"{file}.jsonl:1: no rows in this file; copy it again"):
        make(name, split)


@pytest.mark.parametrize("wanted_name", WANTED)
def test_absent_rows_are_named_in_one_line(wanted_name, tmp_path, monkeypatch):
    """Without --data, in an empty folder and in one that is not there: what is wanted, and where it
    is to be had.
    """

    def offline(*args, **kwargs):
        raise ConnectionError("offline")

    monkeypatch.setattr(datasets, "load_dataset", offline)
    name, _, split = wanted_name.partition(":")
    for given in ({}, {"data": str(tmp_path)}, {"data": str(tmp_path / "none")}):
        with pytest.raises(Refused) as caught:
            make(name, split, **given)
        said = str(caught.value)
        assert "\n" not in said and "is not the name of" not in said
        assert WANTED[wanted_name] in said, said


@pytest.mark.parametrize("name", NAMES)
def test_what_was_never_seen_is_called_loader_only(name):
    """A benchmark whose real rows nobody has seen says so, and one that says so has none here."""
    card = registry.member("benchmarks", name).card
    if "loader only" in card["family"]:
        assert card["evidence"] == "reconstructed" and "oader only" in card["differs"]
        assert not hasattr(said_of(name), "REAL")
