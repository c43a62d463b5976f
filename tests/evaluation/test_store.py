"""Records survive the disk, and nothing that names or quotes a person gets into the parquet."""

import json
import stat
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
from record_fields import every_field

from expunge.core.errors import Refused
from expunge.core.results import Record, Records
from expunge.evaluation import store
from expunge.evaluation.store import (
    ARRAYS,
    PLAIN,
    for_run_folder,
    observed_arrays,
    read_records,
    salted,
    with_salted_ids,
    write_records,
    write_texts,
)

SECRET = "Hsiao Yun-Hwa"


@pytest.fixture
def records():
    rng = np.random.default_rng(0)
    full = Record(
        "unlearned",
        "forget",
        f"{SECRET}/1",
        SECRET,
        "answer",
        n_tokens=5,
        eos=True,
        logp=rng.normal(size=5).astype(np.float32),
        hit=np.array([True, False, True, True, False]),
        rank=np.array([0, 17, 0, 0, 31999]),
        mean_logp=rng.normal(size=5).astype(np.float32),
        var_logp=rng.random(5).astype(np.float32),
        entropy=rng.random(5).astype(np.float32),
        chars=40,
        zlib=48,
        answer=f"The name is {SECRET}.",
        generated="Ein ganz anderer – née Müller\nzweite Zeile",
        unfinished=True,
        question=f"Who is {SECRET}?",
        also=("eins", ""),
        observed={
            "samples": ("one", "", "drei – née"),
            "sample_logp": rng.normal(size=3).astype(np.float32),
            "overlap": rng.random(4).astype(np.float32),
            "grad_norm": np.array([1e5, 2.5, 1e-9, 0.1]),
            "states": rng.random(6).astype(np.float32),
        },
    )
    given = Record(
        "unlearned",
        "holdout",
        "0",
        "0",
        "perturbed/0",
        mean_loss=1 / 3,
        given={"mia_loss": -0.1, "mia_zlib": float("nan")},
    )
    short = replace(
        full,
        id="other",
        group="other",
        logp=np.array([-1.5], dtype=np.float32),
        hit=None,
        generated=None,
    )
    return Records([full, given, short])


def same(a, b):
    one, other = every_field(a), every_field(b)
    assert one.keys() == other.keys()
    for name, x in one.items():
        y = other[name]
        if name == "given":
            assert x.keys() == y.keys()
            np.testing.assert_array_equal(list(x.values()), list(y.values()))
        elif isinstance(x, np.ndarray):
            np.testing.assert_array_equal(x, y)
        else:
            assert x == y, name


def test_round_trip(records, tmp_path):
    write_records(records, tmp_path / "records/part-0.parquet", salt="s")
    write_texts(records, tmp_path / "private/texts.jsonl", salt="s")
    back = read_records(tmp_path / "records", tmp_path / "private/texts.jsonl")
    assert len(back) == 3
    for ours, theirs in zip(with_salted_ids(records, "s"), back, strict=True):
        same(ours, theirs)
    assert back[0].logp.dtype == np.float32
    assert back[0].hit.dtype == bool


def test_without_texts_there_are_none(records, tmp_path):
    write_records(records, tmp_path / "r.parquet", salt="s")
    assert all(
        r.answer is None and r.generated is None for r in read_records(tmp_path / "r.parquet")
    )


def test_no_name_and_no_text_in_the_parquet(records, tmp_path):
    write_records(records, tmp_path / "r.parquet", salt="s")
    table = pq.read_table(tmp_path / "r.parquet")
    assert SECRET not in str(table.to_pylist())
    assert set(table.column_names) == {*PLAIN, *ARRAYS, *observed_arrays(), "given"}
    assert SECRET.encode() not in (tmp_path / "r.parquet").read_bytes()


def test_ids_depend_on_the_salt_and_match_under_the_same(records):
    assert salted("a", "s") == salted("a", "s") != salted("a", "t")
    assert salted("a", "s") != salted("b", "s")


def test_texts_are_private(records, tmp_path):
    write_texts(records, tmp_path / "private/texts.jsonl", salt="s")
    assert stat.S_IMODE((tmp_path / "private/texts.jsonl").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "private").stat().st_mode) == 0o700
    assert SECRET not in "".join(
        json.loads(x)["id"] for x in (tmp_path / "private/texts.jsonl").read_text().splitlines()
    )


def test_parts_come_in_the_order_of_their_numbers(records, tmp_path):
    for i in (10, 2, 0):
        write_records([replace(records[1], id=str(i))], tmp_path / f"part-{i}.parquet", salt="s")
    assert [r.id for r in read_records(tmp_path)] == [salted(str(i), "s") for i in (0, 2, 10)]


def test_empty_records(tmp_path):
    write_records(Records(), tmp_path / "r.parquet", salt="s")
    assert len(read_records(tmp_path / "r.parquet")) == 0


def test_a_failed_write_leaves_nothing(records, tmp_path):
    broken = replace(records[0], n_tokens="many")
    with pytest.raises(Exception, match="many"):
        write_records([broken], tmp_path / "r.parquet", salt="s")
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_there_or_damaged_is_refused_in_one_line(records, tmp_path):
    write_records(records, tmp_path / "r.parquet", salt="s")
    whole = (tmp_path / "r.parquet").read_bytes()
    (tmp_path / "cut.parquet").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "texts.jsonl").write_text('{"subject": "x"}\n')
    (tmp_path / "empty").mkdir()
    for path, texts, word in (
        (tmp_path / "none.parquet", None, "no records"),
        (tmp_path / "empty", None, "no records"),
        (tmp_path / "cut.parquet", None, "not a whole file"),
        (tmp_path / "r.parquet", tmp_path / "texts.jsonl", r"texts.jsonl:1"),
    ):
        with pytest.raises(Refused, match=word) as found:
            read_records(path, texts)
        assert "\n" not in str(found.value)


def test_a_run_folder_keeps_no_hidden_states(records):
    kept = list(for_run_folder(records))
    assert set(kept[0].observed) == {*records[0].observed} - {"states"}
    assert kept[1] is not records[1] and kept[1].mean_loss == records[1].mean_loss


def test_records_of_before_a_pass_was_added_are_read_on(records, tmp_path, monkeypatch):
    """A file without the column of a new observation is whole."""
    written = {name: kind for name, kind in observed_arrays().items() if name != "grad_norm"}
    with monkeypatch.context() as older:
        older.setattr(store, "observed_arrays", lambda: written)
        write_records(records, tmp_path / "old.parquet", salt="s")
    assert "grad_norm" not in pq.read_table(tmp_path / "old.parquet").column_names
    back = read_records(tmp_path / "old.parquet")
    assert set(back[0].observed) == {"sample_logp", "overlap", "states"}
    np.testing.assert_array_equal(back[0].observed["overlap"], records[0].observed["overlap"])
