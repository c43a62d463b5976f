"""Run folders: who works in one, what was asked, what made it, and whether it is finished."""

from __future__ import annotations

import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock, Timeout

from expunge.core.errors import Refused, listed
from expunge.core.escape import say
from expunge.core.files import private_folder, remove, write_text
from expunge.core.former_names import OPTIONS, current_options
from expunge.core.nesting import check_nesting
from expunge.runs.seal import sealed
from expunge.runs.set_aside import (
    ASIDE,
    MOVING,
    OURS,
    bring_back,
    clear,
    contents,
    flatten,
    forget_aside,
    recover,
    set_aside,
)

LIBRARIES = (
    "expunge",
    "torch",
    "transformers",
    "accelerate",
    "datasets",
    "peft",
    "safetensors",
    "numpy",
    "scipy",
    "rouge-score",
)
SAFE = re.compile(r"[A-Za-z0-9._+@=,-]{1,120}")
LOCK, HOLDER, PRIVATE = ".lock", ".holder", "private"
KEPT = (
    "stages/*/checkpoint-*",
    "stages/*/stages/*/checkpoint-*",
    "stages/*/model",
    "points/*.json",
    "rungs/*",
    "*/run.yaml",
    "lineage/shard-*/slice-*",
)  # work that a refusal must not take away
PREPARED = "private/prepared/*"  # nor anything else: a chat model was asked for it
SCRATCH = ("stages", "points", "rungs")  # what a run needs no longer once it is finished


@dataclass
class RunFolder:
    """A run at work in its folder. ``finish`` writes the facts and marks it finished."""

    path: Path
    facts: dict[str, Any]
    since: float = field(default_factory=time.monotonic)

    def note(self, **facts: Any) -> None:
        """Add facts to run.yaml."""
        self.facts.update(facts)
        write_yaml(self.path / "run.yaml", self.facts)

    def agree(self, **facts: Any) -> None:
        """Note what the work starts from.

        Refused if the attempt that is resumed here started from something else.
        """
        other = sorted(
            k for k, v in facts.items() if k in self.facts and self.facts[k] != _plain(v)
        )
        if other:
            raise Refused(
                f"{self.path}: the {' and the '.join(other)} changed since this run was begun; "
                f"remove the folder or take another --out"
            )
        self.note(**facts)

    def finish(self, **facts: Any) -> None:
        """The run is complete and sealed: its folder will be refused to another run, what only a
        resumed run needs is removed.

        In this order, so that a kill in between leaves a finished run, never one that lacks what it
        would resume from.
        """
        whole = {
            **self.facts,
            **facts,
            "status": "finished",
            "seconds": round(time.monotonic() - self.since, 1),
        }
        read_again = yaml.safe_load(_text(whole))
        self.note(**whole, seal=sealed(self.path, read_again))
        sweep(self.path)


def sweep(out: Path) -> None:
    """Remove checkpoints, stages and rungs of a finished run."""
    for name in SCRATCH:
        shutil.rmtree(out / name, ignore_errors=True)


def write_yaml(path: Path, value: Mapping[str, Any]) -> None:
    """A YAML file of plain values, atomically."""
    write_text(path, _text(value))


def _text(value: Mapping[str, Any]) -> str:
    return yaml.safe_dump(_plain(value), sort_keys=False, allow_unicode=True, width=140)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return str(value) if isinstance(value, Path) else value


def read_run(folder: str | Path) -> dict[str, Any]:
    """The run.yaml of a folder. Refused if there is none or it is not a mapping of plain values."""
    if Path(folder).is_dir():
        file = Path(folder) / "run.yaml"
    else:
        file = Path(folder)
    try:
        if file.stat().st_size > 1 << 20:
            raise Refused(f"{file}: larger than 1 MB; this is no run.yaml of ours")
        text = file.read_text(encoding="utf-8")
        check_nesting(text)
        if any(isinstance(token, (yaml.AliasToken, yaml.AnchorToken)) for token in yaml.scan(text)):
            raise Refused(f"{file}: anchors and aliases are not read; write the values out")
        found = yaml.safe_load(text)
    except FileNotFoundError:
        raise Refused(f"{file}: there is no such file; a finished run keeps one") from None
    except OSError as error:
        raise Refused(
            f"{file}: cannot be read ({error.strerror}); check the path and its permissions"
        ) from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        if isinstance(error, Refused):
            raise
        # where it is; the error's own words may quote the file
        mark = getattr(error, "problem_mark", None)
        raise Refused(
            f"{file}{f':{mark.line + 1}' if mark else ''}: not a YAML file of plain values; this "
            f"is no run.yaml of ours"
        ) from None
    if not isinstance(found, dict):
        raise Refused(f"{file}: not a mapping; this is no run.yaml of ours")
    if isinstance(found.get("request"), dict):
        found["request"] = current_options(found["request"], OPTIONS.values())
    return found


def once(place: Path, make: Callable[[], Any]) -> None:
    """Make a run unless its folder is finished."""
    if not ((place / "run.yaml").exists() and read_run(place).get("status") == "finished"):
        make()


def checked(out: Path) -> Path:
    """An output folder whose last part is a plain name: what a run is called must not lead
    elsewhere or break a terminal.
    """
    if "\0" in str(out) or out.name in ("", "..") or not SAFE.fullmatch(out.name):
        raise Refused(
            f"--out {str(out)!r}: the folder's name may hold letters, digits and . _ + @ = , -"
        )
    return out


@contextmanager
def open_run(
    out: Path, *, verb: str, request: Mapping[str, Any], overwrite: bool = False
) -> Iterator[RunFolder]:
    """Work in a run folder: locked while we do, resumed if it was left unfinished by the same
    request.

    Refused: a finished folder without ``overwrite``; a folder in use; an unfinished one of another
        request; a folder that is not ours. What ``overwrite`` replaces is kept aside until the new
        run is complete, and comes back if the new one is refused, or ends before it has made
        anything that a resumed run would go on from. The lock is the kernel's: it is gone when the
        process is, however it ended.
    """
    out = checked(Path(out))
    made = _made(out)
    lock = _locked(out)
    fresh = begun = False
    try:
        (out / HOLDER).unlink(missing_ok=True)  # of a killed run
        if (out / PRIVATE).exists() or (out / PRIVATE).is_symlink():
            private_folder(out / PRIVATE)
        # of a killed run: nobody else writes here, we hold the lock
        for left in out.glob(".*.unfinished"):
            remove(left)
        recover(out, finished=_finished(out))
        if _finished(out):
            sweep(out)
        fresh = not contents(out)
        facts, replaces = _begin(out, verb, dict(_plain(request)), overwrite)
        begun = True
        if replaces:
            flatten(out, _finished)
            set_aside(out)
        write_text(
            out / HOLDER,
            f"process {os.getpid()} on {platform.node()} since "
            f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC",
        )
        run = RunFolder(out, facts)
        run.note()
        yield run
        forget_aside(out)
    except BaseException as error:
        if begun:
            _undo(out, fresh, isinstance(error, Refused))
        raise
    finally:
        with suppress(OSError):
            (out / HOLDER).unlink(missing_ok=True)
        lock.release()  # the file stays: removing it would let two runs lock two files of one name
        if not contents(out) and not (out / ASIDE).exists():
            _unmade(out, made)


def _undo(out: Path, fresh: bool, refused: bool) -> None:
    """After a run that did not end well: what it replaced comes back, unless it has made something
    that it can go on from.
    """
    with suppress(OSError):  # what cannot be moved now is moved when the folder is opened again
        if (out / MOVING).exists():
            return recover(out, finished=False)
        if _finished(out) or _worked(out, KEPT if refused else (*KEPT, PREPARED)):
            return flatten(out, _finished)
        if (out / ASIDE).exists():
            bring_back(out)
        elif refused and fresh:  # as if it had never been asked
            clear(contents(out))


def _worked(out: Path, kinds: Sequence[str]) -> bool:
    """Whether a run left something of these kinds; what it was to replace does not count."""
    found = (p.relative_to(out).parts[0] for kind in kinds for p in out.glob(kind))
    return any(name not in OURS for name in found)


def _finished(out: Path) -> bool:
    """Whether the run.yaml of a folder says that its run is finished; False for one that cannot be
    read.
    """
    with suppress(Refused):
        return (out / "run.yaml").exists() and read_run(out).get("status") == "finished"
    return False


def _made(out: Path) -> list[Path]:
    """Make the folder; what had to be made for it, innermost first.

    Refused: a place where it cannot be, a folder that is not ours.
    """
    try:
        if out.exists() and not out.is_dir():
            raise Refused(f"--out {out}: is a file; give a folder")
        made = [p for p in (out, *out.parents) if not p.exists()]
        out.mkdir(parents=True, exist_ok=True)
        names = {p.name for p in out.iterdir()}
    except OSError as error:
        raise Refused(
            f"--out {out}: this folder cannot be made ({error.strerror}); take another --out"
        ) from None
    if contents(out) and not names & {"run.yaml", LOCK}:
        raise Refused(f"{out} is not empty and was not made by expunge; take another --out")
    return made


def _locked(out: Path) -> FileLock:
    lock = FileLock(out / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise Refused(
            f"{out} is in use by another run ({_holder(out)}); wait for it or take another --out"
        ) from None
    except OSError as error:
        raise Refused(
            f"--out {out}: nothing can be written there ({error.strerror}); take another --out"
        ) from None
    return lock


def _unmade(out: Path, made: Sequence[Path]) -> None:
    """Remove the lock of a folder in which nothing came to be, and the folders that were made for
    it.
    """
    (out / LOCK).unlink(missing_ok=True)
    with suppress(OSError):  # somebody else has put something there
        for p in made:
            p.rmdir()


def _holder(out: Path) -> str:
    try:
        return (out / HOLDER).read_text()
    except OSError:
        return "just started"


def _begin(
    out: Path, verb: str, request: dict[str, Any], overwrite: bool
) -> tuple[dict[str, Any], bool]:
    """What run.yaml says at the start, and whether what the folder holds is to be set aside.

    Nothing is changed.
    """
    asked = {k: v for k, v in request.items() if k not in ("overwrite", "quiet", "threads")}
    inside = contents(out)
    resumed: dict[str, Any] = {}
    replaces = False
    if inside and not (out / "run.yaml").exists():
        raise Refused(f"{out} is not empty and was not made by expunge; take another --out")
    if inside:
        old = read_run(out)
        same = (old.get("verb"), old.get("request")) == (verb, asked)
        # the same unfinished one is resumed, as without it
        if overwrite and (old.get("status") == "finished" or not same):
            replaces = True
        elif old.get("status") == "finished":
            raise Refused(f"{out} is finished; pass --overwrite or take another --out")
        elif not same:
            before = {
                **(old["request"] if isinstance(old.get("request"), dict) else {}),
                "verb": old.get("verb"),
            }
            differing = sorted(
                str(k)
                for k in before.keys() | asked.keys() | {"verb"}
                if before.get(k) != dict(asked, verb=verb).get(k)
            )
            raise Refused(
                f"{out} holds an unfinished run that differs in {', '.join(differing)}; pass "
                f"--overwrite or take another --out"
            )
        else:
            resumed = {k: old[k] for k in ("model", "data") if k in old}
            _say_versions(out, old.get("versions"))
    facts = {
        "schema": 1,
        "verb": verb,
        "status": "running",
        "request": asked,
        "command": shlex.join(["expunge", *sys.argv[1:]])
        if sys.argv and "expunge" in sys.argv[0]
        else None,
        "versions": {name: _version(name) for name in LIBRARIES}
        | {"python": platform.python_version()},
        "git": _revision(),
        "started": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        **resumed,
    }
    return facts, replaces


def _say_versions(out: Path, before: Any) -> None:
    """One line where a run goes on with other libraries than it began with: its steps need not be
    those of one go.
    """
    known = before if isinstance(before, Mapping) else {}
    changed = []
    for name in LIBRARIES:
        if name in known and known[name] != (now := _version(name)):
            changed.append(f"{name} {known[name]}, now {now}")
    if changed:
        say(f"{out}: goes on with other libraries than it began with: {listed(changed)}")


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _revision() -> str | None:
    """The git revision of this source if it is a checkout; ``-dirty`` marks uncommitted changes.

    The revision of a repository around an installation is never taken.
    """
    if not shutil.which("git"):
        return None
    if _git("ls-files", "--error-unmatch", Path(__file__).name).returncode:
        return None
    described = _git("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
    return described.stdout.strip() or None


def _git(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["git", *words],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
