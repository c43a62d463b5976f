"""--overwrite without a loss: what a finished run left is set aside, and comes back if the new request turns out to be wrong."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from expunge.core.files import remove

ASIDE, MOVING = ".replaced", ".replaced.moving"  # the second name says: on its way, one direction or the other
OURS = (".lock", ".holder", ASIDE, MOVING)


def contents(out: Path) -> list[Path]:
    """What a run left in its folder: everything but our own marks and files that were never completed."""
    return [p for p in out.iterdir() if p.name not in OURS and not p.name.endswith(".unfinished")]


def set_aside(out: Path) -> None:
    """Move the contents of a folder into its .replaced, which gets that name when it is complete. An older one stays the one to keep."""
    if (out / ASIDE).exists():
        return clear(contents(out))
    (out / MOVING).mkdir(exist_ok=True)
    for p in contents(out):
        p.rename(out / MOVING / p.name)
    (out / MOVING).rename(out / ASIDE)


def bring_back(out: Path) -> None:
    """Undo ``set_aside``: what came since is removed, run.yaml first, so that a kill in between is seen by ``recover``."""
    clear(sorted(contents(out), key=lambda p: p.name != "run.yaml"))
    (out / ASIDE).rename(out / MOVING)
    _empty(out)


def recover(out: Path) -> None:
    """Finish what a kill left half moved."""
    if (out / MOVING).exists():
        _empty(out)
    elif (out / ASIDE).exists() and not (out / "run.yaml").exists():
        bring_back(out)


def forget_aside(out: Path) -> None:
    """The new run is complete: the old one goes."""
    shutil.rmtree(out / ASIDE, ignore_errors=True)


def clear(paths: Iterator[Path] | list[Path]) -> None:
    """Remove files and folders."""
    for p in paths:
        remove(p)


def _empty(out: Path) -> None:
    for p in (out / MOVING).iterdir():
        p.rename(out / p.name)
    (out / MOVING).rmdir()
