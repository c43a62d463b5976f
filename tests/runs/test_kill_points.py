"""A kill at every change of the file system: nothing that was whole is lost, and the same command
makes the run whole.

In this process, so that it is fast: from the n-th change on every change fails, those of
``finally`` and ``except`` too.
"""

import os
from contextlib import contextmanager

import pytest

from expunge.core.errors import Refused
from expunge.core.files import make_folder, remove, whole, write_manifest, write_text
from expunge.runs import folder
from expunge.runs.folder import open_run, read_run

CHANGES = (
    "rename",
    "replace",
    "unlink",
    "remove",
    "mkdir",
    "rmdir",
    "chmod",
    "link",
    "symlink",
    "open",
)


class Killed(BaseException):
    """What a SIGKILL would have been."""


class Machine:
    """Counts changes of the file system; with ``dies_at`` it makes that many less one, and none
    after it.
    """

    def __init__(self, monkeypatch):
        self.done, self.dies_at = 0, None
        monkeypatch.setattr(folder, "_revision", lambda: None)  # two processes of git each time
        monkeypatch.setattr(folder, "_version", lambda name: None)
        monkeypatch.setattr(os, "fsync", lambda number: None)  # of a machine that stays up
        for name in CHANGES:
            monkeypatch.setattr(os, name, self.counted(getattr(os, name), name))

    def counted(self, real, name):
        def change(*args, **kwargs):
            reads = name == "open" and not args[1] & os.O_CREAT
            # the kernel's own: it goes with the process
            if reads or str(args[0]).endswith(".lock"):
                return real(*args, **kwargs)
            self.done += 1
            if self.dies_at is not None and self.done >= self.dies_at:
                raise Killed
            return real(*args, **kwargs)

        return change

    @contextmanager
    def dying(self, at=None):
        """Whether it died is told by ``done``."""
        self.done, self.dies_at = 0, at
        try:
            yield
        except Killed:
            pass
        finally:
            self.dies_at = None


def work(out, name, overwrite=False, wrong=False):
    """A run as train, unlearn and auto are: a checkpoint, the model, the end."""
    with open_run(out, verb="train", request={"name": name}, overwrite=overwrite) as run:
        write_text(run.path / "private" / "salt", "s", mode=0o600)
        run.agree(model={"source": "m"})
        if wrong:
            raise Refused("the rows are wrong")
        for step in (1, 2):
            place = run.path / "stages" / "0-x" / f"checkpoint-{step}"
            if not whole(place):
                write_text(place / "weights", f"{name} {step}")
                write_manifest(place)
        write_text(run.path / "rungs" / "0.json", "{}")
        made = run.path / ".model.partial"
        remove(made)
        make_folder(made)
        write_text(made / "weights", name)
        write_manifest(made)
        remove(run.path / "model")
        made.rename(run.path / "model")
        run.finish(label=name)


def holds(place, name):
    """Whether a folder holds the finished run of a name, whole."""
    if not (place / "run.yaml").exists():
        return False
    run = read_run(place)
    ours = (run["status"], run["request"]) == ("finished", {"name": name})
    return ours and whole(place / "model") and (place / "model" / "weights").read_text() == name


def there(out, name):
    """The same, in its place or set aside (half moved, too)."""
    parts = [out, out / ".replaced", out / ".replaced.moving"]
    found = {
        p.name: p
        for part in parts
        if part.is_dir()
        for p in part.iterdir()
        if p.name in ("run.yaml", "model")
    }
    if any(holds(part, name) for part in parts):
        return True
    moving = (out / ".replaced.moving").exists() and set(found) == {"run.yaml", "model"}
    return moving and (found["model"] / "weights").read_text() == name


def names(out):
    return {p.name for p in out.iterdir()} - {".lock"}


def points(machine, make, n=None):
    """How many changes there are."""
    with machine.dying():
        make()
    return machine.done


DONE = {"run.yaml", "private", "model"}


def test_a_first_run(tmp_path, monkeypatch):
    machine = Machine(monkeypatch)
    total = points(machine, lambda: work(tmp_path / "all", "new"))
    assert names(tmp_path / "all") == DONE and total > 30
    for n in range(1, total + 1):
        out = tmp_path / f"k{n}"
        with machine.dying(n):
            work(out, "new")
        kept = holds(out, "new")
        with pytest.raises(Refused):
            work(out, "other", wrong=True)
        if kept:
            assert holds(out, "new"), n
            with pytest.raises(Refused, match="is finished"):
                work(out, "new")
        else:
            work(out, "new")
        assert holds(out, "new") and names(out) == DONE, n


def test_a_run_that_replaces_another(tmp_path, monkeypatch):
    """Before: points at which the old run was gone before the new one was whole, or a refused
    command deleted the new one.
    """
    machine = Machine(monkeypatch)
    work(tmp_path / "all", "old")
    total = points(machine, lambda: work(tmp_path / "all", "new", overwrite=True))
    assert names(tmp_path / "all") == DONE and total > 40
    for n in range(1, total + 1):
        out = tmp_path / f"k{n}"
        work(out, "old")
        with machine.dying(n):
            work(out, "new", overwrite=True)
        done = holds(out, "new")
        assert done or there(out, "old"), n
        for overwrite in (False, True):
            with pytest.raises(Refused):
                work(out, "other", overwrite=overwrite, wrong=True)
            assert holds(out, "new") if done else there(out, "old"), (n, overwrite)
        if not done:
            work(out, "new", overwrite=True)
        assert holds(out, "new") and names(out) == DONE, n


@pytest.mark.parametrize("begun", ["finished", "unfinished over a finished one"])
def test_a_refused_one_brings_all_back(tmp_path, monkeypatch, begun):
    """Killed while what was set aside comes back: it still does."""
    machine = Machine(monkeypatch)

    def before(out):
        work(out, "old")
        if begun != "finished":
            with machine.dying(40):
                work(out, "half", overwrite=True)
            assert (out / "stages").exists() and there(out, "old")

    def refused(out):
        with pytest.raises(Refused, match="rows are wrong"):
            work(out, "other", overwrite=True, wrong=True)

    before(tmp_path / "all")
    kept = names(tmp_path / "all") - {".holder"}
    total = points(machine, lambda: refused(tmp_path / "all"))
    assert {n for n in names(tmp_path / "all") if "unfinished" not in n} == {
        n for n in kept if "unfinished" not in n
    }
    for n in range(1, total + 1):
        out = tmp_path / f"k{n}"
        before(out)
        with machine.dying(n):
            refused(out)
        refused(out)
        assert there(out, "old"), n
        assert begun == "finished" or (out / "stages" / "0-x" / "checkpoint-1").exists(), n
