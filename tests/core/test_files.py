"""Files that we write: never through what another left or planted, private from the first byte;
secrets whole or refused.
"""

import os
import stat
import time

import numpy as np
import pytest

from expunge.core.errors import Failed, Refused
from expunge.core.files import (
    STALE,
    append_line,
    create,
    private_folder,
    remove,
    write_json,
    write_text,
)
from expunge.core.results import Record, Records
from expunge.evaluation import cache
from expunge.evaluation.store import write_records, write_texts
from expunge.pipeline.evaluate import data_facts
from expunge.runs.folder import open_run
from expunge.training.reference import room_for


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def names(folder):
    return sorted(p.name for p in folder.iterdir())


def test_an_old_temporary_name_is_neither_followed_nor_its_mode_kept(tmp_path):
    """The name that was used before is planted: a link to a victim, and a file that everybody
    reads.
    """
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / ".a.html.unfinished").symlink_to(victim)
    (tmp_path / ".b.html.unfinished").touch(0o644)
    write_text(tmp_path / "a.html", "page")
    write_text(tmp_path / "b.html", "secret", mode=0o600)
    assert victim.read_text() == "precious"
    assert (tmp_path / "a.html").read_text() == "page"
    assert mode(tmp_path / "b.html") == 0o600


def test_a_target_that_is_a_link_is_replaced_and_not_followed(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "a.json").symlink_to(victim)
    write_json(tmp_path / "a.json", {"x": 1})
    assert victim.read_text() == "precious" and not (tmp_path / "a.json").is_symlink()


@pytest.mark.parametrize("plant", ["link", "dangling", "file"])
def test_create_takes_nothing_that_is_there(plant, tmp_path):
    place, victim = tmp_path / "new", tmp_path / "victim"
    if plant == "file":
        place.write_text("old")
    else:
        place.symlink_to(victim)
    if plant == "link":
        victim.write_text("precious")
    with pytest.raises(OSError):
        create(place)
    assert not victim.exists() or victim.read_text() == "precious"


def test_private_folders_are_private_whatever_made_them(tmp_path):
    write_text(tmp_path / "new" / "private" / "t.json", "secret", mode=0o600)
    assert mode(tmp_path / "new") == mode(tmp_path / "new" / "private") == 0o700
    (tmp_path / "old").mkdir(mode=0o755)
    assert mode(private_folder(tmp_path / "old")) == 0o700
    (tmp_path / "elsewhere").mkdir(mode=0o755)
    (tmp_path / "linked").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Refused, match="is a link"):
        private_folder(tmp_path / "linked")
    assert mode(tmp_path / "elsewhere") == 0o755


def test_what_a_killed_writer_left_is_removed_later(tmp_path):
    old, young, other = (
        tmp_path / f".{name}.unfinished" for name in ("a.json.0123", "a.json.4567", "b.json.0123")
    )
    for file in (old, young, other):
        file.write_text("half")
    os.utime(old, (time.time() - STALE - 9,) * 2)
    os.utime(other, (time.time() - STALE - 9,) * 2)
    write_json(tmp_path / "a.json", {})
    assert names(tmp_path) == [young.name, other.name, "a.json"]


def test_a_run_that_resumes_removes_what_it_left_and_refuses_a_planted_private_folder(tmp_path):
    out = tmp_path / "run"
    with pytest.raises(Failed), open_run(out, verb="train", request={}):
        raise Failed("killed")
    (out / ".run.yaml.0123.unfinished").write_text("half")
    with pytest.raises(Failed), open_run(out, verb="train", request={}):
        assert not list(out.glob("*.unfinished"))
        raise Failed("killed")
    (out / "private").symlink_to(tmp_path)
    with pytest.raises(Refused, match="is a link"), open_run(out, verb="train", request={}):
        pass
    assert (out / "run.yaml").exists()


def test_logs_records_and_texts_are_not_written_through_a_link(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    run = tmp_path / "run"
    run.mkdir()
    (run / "log.jsonl").symlink_to(victim)
    (run / "records.parquet.unfinished").symlink_to(victim)
    (run / "texts.jsonl.unfinished").symlink_to(victim)
    (run / "teacher.npy").symlink_to(victim)
    with pytest.raises(OSError):
        append_line(run / "log.jsonl", "{}")
    write_records(Records([Record("m", "forget", "0", "0", "answer")]), run / "records.parquet")
    write_texts(
        Records([Record("m", "forget", "0", "0", "answer", generated="x")]), run / "texts.jsonl"
    )
    room_for(run / "teacher.npy", np.dtype("float32"), (2, 2))[:] = 1
    assert victim.read_text() == "precious"
    assert mode(run / "texts.jsonl") == 0o600 and mode(run) == 0o700


def test_remove_takes_the_link_and_leaves_what_it_leads_to(tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "x").touch()
    (tmp_path / "link").symlink_to(tmp_path / "kept")
    for name in ("link", "link", "kept"):
        remove(tmp_path / name)
        assert name == "kept" or names(tmp_path / "kept") == ["x"]
    assert names(tmp_path) == []


# ------------------------------------------------------------------ secrets


def test_a_salt_is_32_digits_for_its_owner_alone(tmp_path):
    salt = cache.salt_of(tmp_path / "private")
    file = tmp_path / "private" / "salt"
    assert len(salt) == 32 and mode(file) == 0o600 and names(file.parent) == ["salt"]
    file.chmod(0o644)  # as a copy of the folder leaves it
    assert cache.salt_of(tmp_path / "private") == salt and mode(file) == 0o600


@pytest.mark.parametrize("held", ["", "abc", "g" * 32, "0" * 33])
def test_a_salt_that_is_none_is_refused(held, tmp_path):
    """A full disk left an empty one, and every later id was an open hash: anybody could try names
    against it.
    """
    (tmp_path / "salt").write_text(held)
    with pytest.raises(Refused, match="no secret of ours"):
        cache.salt_of(tmp_path)


def test_a_salt_behind_a_link_is_refused(tmp_path):
    (tmp_path / "known").write_text("0" * 32)
    (tmp_path / "private").mkdir()
    (tmp_path / "private" / "salt").symlink_to(tmp_path / "known")
    with pytest.raises(Refused, match="no secret of ours"):
        cache.salt_of(tmp_path / "private")


def test_a_full_disk_leaves_no_salt(tmp_path, monkeypatch):
    def full(fd):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache.os, "fsync", full)
    with pytest.raises(Failed, match="No space left"):
        cache.salt_of(tmp_path / "private")
    assert names(tmp_path / "private") == []
    monkeypatch.undo()
    assert len(cache.salt_of(tmp_path / "private")) == 32


def test_the_first_of_two_salts_stays(tmp_path, monkeypatch):
    """Another process draws one between our look and our write."""
    real = os.link

    def late(source, target):
        target.write_text("f" * 32)
        real(source, target)

    monkeypatch.setattr(cache.os, "link", late)
    assert cache.salt_of(tmp_path / "private") == "f" * 32


def test_rows_have_no_open_digest():
    with pytest.raises(ValueError, match="secret"):
        data_facts({"forget": ()}, "")
