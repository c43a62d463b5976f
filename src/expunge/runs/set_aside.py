"""--overwrite without a loss: what a run left is set aside, and comes back if nothing takes its
place.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from expunge.core.files import remove

# the second name says: on its way, one direction or the other
ASIDE, MOVING = ".replaced", ".replaced.moving"
# the new run is whole: what is left of the old one only waits to be removed
GONE = ".replaced.gone"
KEPT_ON = ".replaced.kept"  # the run that stays set aside while a later one that lay around it goes
MARKS = (".lock", ".holder")
OURS = (*MARKS, ASIDE, MOVING, GONE, KEPT_ON)


def contents(out: Path) -> list[Path]:
    """What a run left in its folder: everything but our own marks and files that were never
    completed.
    """
    return [p for p in out.iterdir() if p.name not in OURS and not p.name.endswith(".unfinished")]


def set_aside(out: Path) -> None:
    """Move what a folder holds into its .replaced, which gets that name when it is complete.

    An older .replaced goes with it, so that all of it comes back if the new request is refused.
    """
    (out / MOVING).mkdir(exist_ok=True)
    if (out / ASIDE).exists():
        older = [out / ASIDE]
    else:
        older = []
    for p in (*older, *contents(out)):
        p.rename(out / MOVING / p.name)
    (out / MOVING).rename(out / ASIDE)


def bring_back(out: Path) -> None:
    """Undo ``set_aside``: what came since is removed, run.yaml first, so that a kill in between is
    seen by ``recover``.
    """
    clear(sorted(contents(out), key=lambda p: p.name != "run.yaml"))
    (out / ASIDE).rename(out / MOVING)
    _empty(out)


def recover(out: Path, finished: bool) -> None:
    """Finish what a kill left half done.

    ``finished``: the run.yaml that stands there says that its run is.
    """
    _keep_inner(out)
    if (out / GONE).exists():
        remove(out / GONE)
    if (out / MOVING).exists():
        _empty(out)
    elif (out / ASIDE).exists() and not (out / "run.yaml").exists():
        bring_back(out)
    elif (out / ASIDE).exists() and finished:  # killed before the old run was removed
        forget_aside(out)


def flatten(out: Path, finished: Callable[[Path], bool]) -> None:
    """Keep one of two runs that are set aside one within the other, so that repeated failures do
    not pile up.

    Args:
        out: The folder of the run.
        finished: Whether the run in a folder is finished. A finished one that lies inside stays;
            otherwise the later one does.
    """
    inner = out / ASIDE / ASIDE
    if not inner.exists():
        return
    if finished(inner) and not finished(out / ASIDE):
        inner.rename(out / KEPT_ON)
        _keep_inner(out)
    else:
        remove(inner)


def _keep_inner(out: Path) -> None:
    """The second half of ``flatten``, which a kill may have left undone."""
    if not (out / KEPT_ON).exists():
        return
    if (out / ASIDE).exists():
        shutil.rmtree(out / GONE, ignore_errors=True)
        (out / ASIDE).rename(out / GONE)
    (out / KEPT_ON).rename(out / ASIDE)
    shutil.rmtree(out / GONE, ignore_errors=True)


def forget_aside(out: Path) -> None:
    """The new run is complete: the old one goes, at once under a name from which nothing is brought
    back.
    """
    if (out / ASIDE).exists():
        (out / ASIDE).rename(out / GONE)
    shutil.rmtree(out / GONE, ignore_errors=True)


def clear(paths: Iterable[Path]) -> None:
    """Remove files and folders."""
    for p in paths:
        remove(p)


def _empty(out: Path) -> None:
    """Move back what is in .replaced.moving; an older .replaced in it gets its name again at the
    end.
    """
    for p in sorted((out / MOVING).iterdir(), key=lambda p: p.name == ASIDE):
        p.rename(out / p.name)
    (out / MOVING).rmdir()
