"""Run folders: locked while in use, resumed or refused by what they hold, whole or not there."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest
import yaml

from expunge.core.errors import Failed, Refused
from expunge.core.files import check_manifest, whole, write_json, write_manifest, write_text
from expunge.runs.folder import open_run, read_run
from expunge.runs.set_aside import MOVING, set_aside

ASKED = {"model": "tiny", "lr": 0.1}
HOLD = """
import sys, time
from pathlib import Path
from expunge.runs.folder import open_run
with open_run(Path(sys.argv[1]), verb="train", request={"model": "tiny", "lr": 0.1}):
    print("in", flush=True)
    time.sleep(60)
"""


def run(out, request=ASKED, verb="train", overwrite=False, finish=True, leave="result", text="new"):
    with open_run(out, verb=verb, request=request, overwrite=overwrite) as folder:
        write_text(folder.path / leave, text)
        if finish:
            folder.finish(model={"source": "tiny", "digest": "d"})
    return out


def names(out):
    return {p.name for p in out.iterdir()} - {".lock"}


def test_what_a_run_leaves(tmp_path):
    out = run(tmp_path / "a")
    facts = read_run(out)
    assert (facts["schema"], facts["verb"], facts["status"], facts["request"]) == (
        1,
        "train",
        "finished",
        ASKED,
    )
    assert (
        facts["versions"]["torch"]
        and facts["versions"]["python"]
        and facts["started"]
        and facts["seconds"] >= 0
    )
    assert names(out) == {"run.yaml", "result"}


def test_a_finished_folder_is_refused(tmp_path):
    out = run(tmp_path / "a")
    with pytest.raises(Refused, match="is finished; pass --overwrite or take another --out"):
        run(out, text="other")
    assert (out / "result").read_text() == "new"
    run(out, overwrite=True, leave="second")
    assert names(out) == {"run.yaml", "second"}


def test_an_unfinished_one_resumes_or_names_what_differs(tmp_path):
    out = run(tmp_path / "a", finish=False)
    with pytest.raises(Refused, match=r"differs in lr, seed;"):
        run(out, {"model": "tiny", "lr": 0.2, "seed": 1})
    with pytest.raises(Refused, match="differs in verb;"):
        run(out, verb="unlearn")
    assert (out / "result").exists()
    run(out, dict(ASKED, threads=2, quiet=True), leave="more")  # neither changes what comes out
    assert names(out) == {"run.yaml", "result", "more"}


def test_other_libraries_than_it_began_with_are_said(tmp_path, spoken):
    out = run(tmp_path / "a", finish=False)
    run(out, finish=False)
    assert spoken() == []
    (out / "run.yaml").write_text(
        re.sub(r"  torch: .*", "  torch: 0.4.1", (out / "run.yaml").read_text())
    )
    run(out)
    (line,) = spoken()
    assert "goes on with other libraries than it began with: torch 0.4.1, now " in line


def test_somebody_elses_folder_is_refused(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "thesis.tex").write_text("x")
    for overwrite in (False, True):
        with pytest.raises(Refused, match="not made by expunge"):
            run(tmp_path / "a", overwrite=overwrite)
    assert names(tmp_path / "a") == {"thesis.tex"}
    with pytest.raises(Refused, match="is a file"):
        run(tmp_path / "a" / "thesis.tex")
    with pytest.raises(Refused, match="cannot be made"):
        run(tmp_path / "a" / "thesis.tex" / "b")


@pytest.mark.parametrize("name", ["a/..", "a\0b", "..", "x" * 200, "a\nb", "a;b"])
def test_names_that_are_none(tmp_path, name):
    with pytest.raises(Refused, match="name may hold"):
        run(tmp_path / "in" / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("before", [None, "empty", "finished"])
def test_a_refused_request_leaves_everything_as_it_was(tmp_path, before):
    """What --overwrite was to replace comes back, too."""
    out = tmp_path / "a"
    if before == "finished":
        run(out, text="precious")
        (out / "model").mkdir()
        (out / "model" / "w").write_text("weights")
    elif before:
        out.mkdir()
    with (
        pytest.raises(Refused, match="wrong"),
        open_run(
            out, verb="eval", request={"model": "x"}, overwrite=before == "finished"
        ) as folder,
    ):
        write_text(folder.path / "records", "half")
        raise Refused("wrong")
    if before is None:
        assert not out.exists()
    elif before == "empty":
        assert not names(out)
    else:
        assert names(out) == {"run.yaml", "result", "model"}
        assert (out / "result").read_text() == "precious" and (
            out / "model" / "w"
        ).read_text() == "weights"
        assert read_run(out)["verb"] == "train"


def test_a_failed_run_keeps_its_work_and_what_it_replaces_until_it_is_done(tmp_path):
    out = run(tmp_path / "a", text="precious")
    with (
        pytest.raises(Failed),
        open_run(out, verb="train", request={"lr": 2}, overwrite=True) as folder,
    ):
        write_text(folder.path / "stages" / "0-npo" / "checkpoint-5" / "weights", "half")
        raise Failed("nan")
    assert (
        read_run(out)["status"] == "running"
        and (out / ".replaced" / "result").read_text() == "precious"
    )
    with pytest.raises(Refused, match="differs in lr"):
        run(out, {"lr": 3})
    # before: a refused command removed them
    assert (out / "stages" / "0-npo" / "checkpoint-5").exists()
    run(out, {"lr": 2})
    assert names(out) == {"run.yaml", "result"}


def test_finished_slices_of_an_ensemble_outlive_a_refused_command(tmp_path):
    """Before: the run that was to be replaced came back, and every trained slice was gone."""
    out = run(tmp_path / "a", text="precious")
    place = out / "lineage" / "shard-0" / "slice-1" / "weights"
    with (
        pytest.raises(Failed),
        open_run(out, verb="train", request={"lr": 2}, overwrite=True) as folder,
    ):
        write_text(folder.path / place.relative_to(out), "trained")
        raise Failed("out of memory")
    with pytest.raises(Refused, match="differs in lr"):
        run(out, {"lr": 3})
    assert place.read_text() == "trained"


@pytest.mark.parametrize(
    "error", [Failed("disk full"), KeyboardInterrupt(), OSError(28, "No space left on device")]
)
def test_what_is_replaced_comes_back_when_nothing_was_made(tmp_path, error):
    """Before: the old model stayed in .replaced, and OUT held no model at all."""
    out = run(tmp_path / "a", text="precious")
    with pytest.raises(type(error)), open_run(out, verb="train", request={"lr": 2}, overwrite=True):
        raise error
    assert names(out) == {"run.yaml", "result"} and (out / "result").read_text() == "precious"


def test_an_unfinished_run_comes_back_too(tmp_path):
    """Its checkpoints, the user's files beside them, and what it was to replace itself."""
    out = run(tmp_path / "a", text="precious")
    with (
        pytest.raises(Failed),
        open_run(out, verb="train", request={"lr": 2}, overwrite=True) as folder,
    ):
        write_text(folder.path / "stages" / "0-npo" / "checkpoint-5" / "weights", "half")
        raise Failed("nan")
    (out / "notes.txt").write_text("years")
    with (
        pytest.raises(Refused, match="typo"),
        open_run(out, verb="train", request={"lr": 3}, overwrite=True),
    ):
        raise Refused("typo")
    assert names(out) == {"run.yaml", "stages", "notes.txt", ".replaced"}
    assert (out / ".replaced" / "result").read_text() == "precious"
    run(out, {"lr": 3}, overwrite=True)
    assert names(out) == {"run.yaml", "result"}


def fails_after_work(out, lr):
    """A run that replaces what is there, leaves a checkpoint and breaks."""
    with (
        pytest.raises(Failed),
        open_run(out, verb="train", request={"lr": lr}, overwrite=True) as folder,
    ):
        write_text(folder.path / "stages" / "0-npo" / "checkpoint-5" / "weights", f"half {lr}")
        raise Failed("nan")


def test_runs_that_fail_again_and_again_do_not_pile_up(tmp_path, monkeypatch):
    """Before: .replaced lay within .replaced, once more with every failure."""
    out = run(tmp_path / "a", text="precious")
    for lr in (2, 3, 4):
        fails_after_work(out, lr)
        assert (out / ".replaced" / "result").read_text() == "precious"
        assert (
            names(out) == {"run.yaml", "stages", ".replaced"}
            and not (out / ".replaced" / ".replaced").exists()
        )
        assert (out / "stages" / "0-npo" / "checkpoint-5" / "weights").read_text() == f"half {lr}"
    with monkeypatch.context() as killed:
        killed.setattr("expunge.runs.folder._undo", lambda *given: None)
        for lr in (5, 6, 7):
            fails_after_work(out, lr)
    assert sum(1 for p in out.rglob(".replaced")) == 2
    assert (out / ".replaced" / ".replaced" / "result").read_text() == "precious"
    with (
        pytest.raises(Refused, match="typo"),
        open_run(out, verb="train", request={"lr": 8}, overwrite=True),
    ):
        raise Refused("typo")
    assert (out / "stages" / "0-npo" / "checkpoint-5" / "weights").read_text() == "half 7"
    assert (out / ".replaced" / "result").read_text() == "precious"
    run(out, {"lr": 9}, overwrite=True)
    assert names(out) == {"run.yaml", "result"}


def test_a_kill_while_one_of_two_replaced_runs_is_removed(tmp_path):
    """The finished run is on its way out of the one around it; it gets its place at the next
    opening.
    """
    out = run(tmp_path / "a", text="precious")
    fails_after_work(out, 2)
    (out / ".replaced").rename(out / ".replaced.kept")
    (out / ".replaced").mkdir()
    (out / ".replaced" / "stages").mkdir()
    with pytest.raises(Refused, match="differs in lr"):
        run(out, {"lr": 3})
    assert names(out) == {"run.yaml", "stages", ".replaced"}
    assert (out / ".replaced" / "result").read_text() == "precious"


def test_a_new_run_that_is_finished_is_never_taken_for_one_to_undo(tmp_path):
    """A kill while the old run is being removed; then a refused command, and then --overwrite with
    a refused request.
    """
    out = run(tmp_path / "a", text="new")
    (out / ".replaced").mkdir()
    (out / ".replaced" / "run.yaml").write_text("status: finished")
    with pytest.raises(Refused, match="is finished"):
        run(out)
    assert names(out) == {"run.yaml", "result"} and (out / "result").read_text() == "new"
    (out / ".replaced").mkdir()
    with (
        pytest.raises(Refused, match="wrong"),
        open_run(out, verb="train", request={"lr": 2}, overwrite=True),
    ):
        raise Refused("wrong")
    assert (out / "result").read_text() == "new"


def test_a_kill_while_moving_loses_nothing(tmp_path):
    out = run(tmp_path / "a", text="precious")
    (out / MOVING).mkdir()
    (out / "run.yaml").rename(out / MOVING / "run.yaml")  # killed after the first of two files
    with pytest.raises(Refused, match="is finished"):
        run(out)
    assert names(out) == {"run.yaml", "result"}
    set_aside(out)  # killed before the new run wrote anything
    with pytest.raises(Refused, match="is finished"):
        run(out)
    assert names(out) == {"run.yaml", "result"} and (out / "result").read_text() == "precious"


def test_the_lock_names_its_holder_and_dies_with_it(tmp_path):
    out = tmp_path / "a"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(out)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout.readline() == "in\n"
        with pytest.raises(
            Refused, match=rf"in use by another run \(process {holder.pid} on .* since .*UTC\)"
        ):
            run(out)
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        holder.stdout.close()
    start = time.monotonic()
    run(out)
    assert time.monotonic() - start < 5 and read_run(out)["status"] == "finished"


LIMITED = """
import resource, sys
from pathlib import Path
from expunge.core.errors import Failed
from expunge.core.files import write_text
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    write_text(Path(sys.argv[1]), "x" * 100000)
except Failed as error:
    print(error)
"""


def test_a_file_size_limit_leaves_what_was_there(tmp_path):
    file = tmp_path / "measurements.json"
    write_json(file, {"schema": 1})
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(file)], capture_output=True, text=True, check=True
    )
    assert (
        "could not write" in done.stdout
        and "File too large" in done.stdout
        and len(done.stdout.splitlines()) == 1
    )
    assert file.read_text() == '{\n "schema": 1\n}\n' and list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize(
    "text, told",
    [
        ("a: &x [1]\nb: *x\n", "anchors"),
        ("!!python/object/apply:os.system ['true']\n", "not a YAML file"),
        ("a: [\n", "not a YAML file"),
        ("- a\n", "not a mapping"),
        ("#" * (1 << 21), "larger than 1 MB"),
    ],
)
def test_a_run_yaml_from_elsewhere_is_read_with_care(tmp_path, text, told):
    (tmp_path / "run.yaml").write_text(text)
    with pytest.raises(Refused, match=told):
        read_run(tmp_path)


def test_a_run_yaml_that_is_not_there(tmp_path):
    with pytest.raises(Refused, match="no such file"):
        read_run(tmp_path / "run.yaml")


def test_what_is_written_is_plain_yaml(tmp_path):
    """Shared values are written out; an anchor would be refused when it is read again."""
    shared = [1, 2]
    out = run(tmp_path / "a", {"betas": shared, "again": shared, "columns": {"prompt": "q"}})
    text = (out / "run.yaml").read_text()
    assert (
        "&" not in text and "!!" not in text and yaml.safe_load(text)["request"]["again"] == [1, 2]
    )


@pytest.mark.parametrize(
    "harm, told", [("cut", "it was cut off"), ("flip", "it was altered"), ("remove", "missing")]
)
def test_a_manifest_names_the_file_that_suffered(tmp_path, harm, told):
    (tmp_path / "sub").mkdir()
    file = tmp_path / "sub" / "model.safetensors"
    file.write_bytes(os.urandom(1000))
    (tmp_path / "config.json").write_text("{}")
    write_manifest(tmp_path)
    check_manifest(tmp_path)
    assert whole(tmp_path)
    data = bytearray(file.read_bytes())
    data[500] ^= 1
    {
        "cut": lambda: file.write_bytes(data[:-1]),
        "flip": lambda: file.write_bytes(data),
        "remove": file.unlink,
    }[harm]()
    with pytest.raises(Refused, match=told) as caught:
        check_manifest(tmp_path)
    assert "model.safetensors" in str(caught.value) and not whole(tmp_path)
