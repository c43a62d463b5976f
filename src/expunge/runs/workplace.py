"""Folders of work that is more than one run (bench, demo): marked as ours when they are made, and
ours alone while we work.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from expunge.core.errors import Refused, listed
from expunge.core.files import remove, write_text
from expunge.runs.folder import checked

LOCK = ".lock"


@contextmanager
def workplace(
    out: Path, kind: str, *, clears: Sequence[str] = (), overwrite: bool = False
) -> Iterator[None]:
    """Work in a folder of one kind (``bench``, ``demo``), which holds the mark ``.expunge-KIND``.

    ``overwrite`` removes what lies there under the names ``clears`` and nothing else. Without the
    mark names say nothing: a folder ``models`` or a file ``plan.yaml`` may be the user's own.

    Raises:
        Refused: the folder holds something and has no mark, is a file, cannot be written, or
            somebody else works in it.
    """
    checked(out)
    mark = out / f".expunge-{kind}"
    try:
        if out.exists() and not out.is_dir():
            raise Refused(f"--out {out}: is a file; give a folder")
        if out.exists():
            others = sorted(p.name for p in out.iterdir() if p.name != LOCK)
        else:
            others = []
        if others and not mark.is_file():
            raise Refused(
                f"{out} is not empty and was not made by expunge {kind} ({listed(others, 3)}); "
                f"nothing there is touched, take another --out"
            )
        out.mkdir(parents=True, exist_ok=True)
        lock = FileLock(out / LOCK)
        lock.acquire(timeout=0)
    except Timeout:
        raise Refused(
            f"{out}: another {kind} works in this folder; wait for it or take another --out"
        ) from None
    except OSError as error:
        raise Refused(
            f"--out {out}: this folder cannot be used ({error.strerror}); take another --out"
        ) from None
    try:
        write_text(
            mark, f"This folder is of expunge {kind}; --overwrite removes what it made here.\n"
        )
        for name in clears if overwrite else ():
            remove(out / name)
        yield
    finally:
        lock.release()
