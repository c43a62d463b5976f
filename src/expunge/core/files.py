"""Files that are whole or not there: atomic writes, and manifests that show a folder to be as it
was written.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

from expunge.core.errors import Failed, Refused

MANIFEST = "manifest.json"


NO_LINK = getattr(os, "O_NOFOLLOW", 0)  # Windows has no such flag
# seconds after which an unfinished file is what a kill left, not what another process writes
STALE = 3600.0


def create(path: Path, mode: int = 0o644) -> int:
    """Open a file that was not there before, with its mode from the first byte on.

    OSError if anything stands at ``path``, a link included: what another put there is never written
    to.
    """
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | NO_LINK, mode)


def make_folder(path: Path, mode: int = 0o755) -> Path:
    """Make a folder, and those above it that are missing, each with ``mode``; a folder that is
    there stays as it is.
    """
    for folder in (*reversed(path.parents), path):
        if not folder.is_dir():
            folder.mkdir(mode=mode, exist_ok=True)
    return path


def private_folder(path: Path) -> Path:
    """A folder that its owner alone can enter, made or tightened.

    Refused: a link, or a folder of somebody else.
    """
    make_folder(path, 0o700)
    facts = path.lstat()
    if stat.S_ISLNK(facts.st_mode):
        raise Refused(f"{path}: is a link; private texts are not written through one, remove it")
    if not mine(facts):
        raise Refused(
            f"{path}: belongs to another user; private texts are not written there, take another "
            f"place"
        )
    if facts.st_mode & 0o077:
        path.chmod(0o700)
    return path


def mine(facts: os.stat_result) -> bool:
    """Whether a file belongs to the user who runs this (always, where a system knows no such
    thing).
    """
    return not hasattr(os, "geteuid") or facts.st_uid == os.geteuid()


def remove(path: Path) -> None:
    """Remove a file, a link (not what it leads to) or a whole folder; nothing there is fine."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def unfinished(path: Path, mode: int = 0o644) -> Iterator[Path]:
    """A new, empty file beside ``path`` to fill; it takes the place of ``path`` when the block ends
    well and is removed if not.

    Its name is drawn anew each time, so that nobody can plant a file or a link there; what a kill
    left is removed an hour later.
    """
    _sweep(path)
    part = path.with_name(f".{path.name}.{secrets.token_hex(6)}.unfinished")
    os.close(create(part, mode))
    try:
        yield part
        with part.open("rb+") as written:
            os.fsync(written.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _sweep(path: Path) -> None:
    """Remove what killed writers of ``path`` left beside it."""
    long_ago = time.time() - STALE
    with suppress(OSError), os.scandir(path.parent) as entries:
        for entry in entries:
            left = entry.name.startswith(f".{path.name}.") and entry.name.endswith(".unfinished")
            if left and entry.stat(follow_symlinks=False).st_mtime < long_ago:
                Path(entry.path).unlink(missing_ok=True)


def write_text(path: Path, text: str, mode: int = 0o644) -> None:
    """Write beside the place and move in when complete.

    Failed, with nothing half-written left, if the disk refuses.

    A ``mode`` for the owner alone holds for folders that must be made too.
    """
    try:
        make_folder(path.parent, 0o755 if mode & 0o077 else 0o700)
        with unfinished(path, mode) as part, part.open("w", encoding="utf-8") as f:
            f.write(text)
    except OSError as error:
        raise Failed(
            f"could not write {path}: {error.strerror}; what was there before is untouched, free "
            f"some space and run again"
        ) from None


def append_line(path: Path, line: str) -> None:
    """Add a line to a file that grows, made if it is not there; a link in its place is not followed
    (OSError).
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | NO_LINK
    with open(os.open(path, flags, 0o644), "a", encoding="utf-8") as f:
        f.write(line + "\n")


def write_json(path: Path, value: Any, mode: int = 0o644) -> None:
    """A JSON file, atomically."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n", mode)


def sha256_of(file: Path) -> str:
    """The sha256 of a file's bytes, in hex."""
    digest = sha256()
    with file.open("rb") as f:
        while chunk := f.read(1 << 22):
            digest.update(chunk)
    return digest.hexdigest()


def write_manifest(folder: Path) -> None:
    """sha256 and size of every file of a folder, written last: a folder with a manifest that holds
    is a whole one.
    """
    found = (p for p in sorted(folder.rglob("*")) if p.is_file() and p.name != MANIFEST)
    write_json(
        folder / MANIFEST,
        {
            "schema": 1,
            "files": {
                str(p.relative_to(folder)): {"sha256": sha256_of(p), "size": p.stat().st_size}
                for p in found
            },
        },
    )


def check_manifest(folder: Path, wanted: Callable[[str], bool] = lambda name: True) -> None:
    """Refuse a folder in which a file of the manifest is missing, cut off or altered.

    A folder without a manifest passes.
    """
    if not (folder / MANIFEST).exists():
        return
    try:
        known = json.loads((folder / MANIFEST).read_bytes())["files"]
        files = {
            str(name): {"sha256": facts["sha256"], "size": facts["size"]}
            for name, facts in known.items()
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise Refused(
            f"{folder / MANIFEST}: not a manifest of ours; copy the folder again"
        ) from None
    for name, facts in files.items():
        file = folder / name
        if not wanted(name):
            continue
        if not file.exists():
            raise Refused(f"{file}: named in {MANIFEST} but missing; copy the folder again")
        if file.stat().st_size != facts["size"]:
            raise Refused(
                f"{file}: {file.stat().st_size} bytes where {facts['size']} were saved; it was cut "
                f"off, copy it again"
            )
        if sha256_of(file) != facts["sha256"]:
            raise Refused(
                f"{file}: its sha256 is not the one in {MANIFEST}; it was altered, copy it again"
            )


def whole(folder: Path) -> bool:
    """Whether a folder has a manifest and every file in it is as it was written."""
    try:
        check_manifest(folder)
    except (OSError, ValueError, KeyError):
        return False
    return (folder / MANIFEST).exists()
