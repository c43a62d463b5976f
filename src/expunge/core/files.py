"""Files that are whole or not there: atomic writes, and manifests that show a folder to be as it was written."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

from expunge.core.errors import Failed, Refused

MANIFEST = "manifest.json"


def write_text(path: Path, text: str, mode: int = 0o644) -> None:
    """Write beside the place and move in when complete. Failed, with nothing half-written left, if the disk refuses."""
    tmp = path.with_name(f".{path.name}.unfinished")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(os.open(tmp, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w", encoding="utf-8") as f:
            f.write(text)
            f.flush()
            os.fsync(f.fileno())
        tmp.replace(path)
    except OSError as error:
        raise Failed(
            f"could not write {path}: {error.strerror}; what was there before is untouched, free some space and run again"
        ) from None
    finally:
        tmp.unlink(missing_ok=True)


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
    """sha256 and size of every file of a folder, written last: a folder with a manifest that holds is a whole one."""
    found = (p for p in sorted(folder.rglob("*")) if p.is_file() and p.name != MANIFEST)
    write_json(
        folder / MANIFEST,
        {"schema": 1, "files": {str(p.relative_to(folder)): {"sha256": sha256_of(p), "size": p.stat().st_size} for p in found}},
    )


def check_manifest(folder: Path, wanted: Callable[[str], bool] = lambda name: True) -> None:
    """Refuse a folder in which a file of the manifest is missing, cut off or altered. A folder without a manifest passes."""
    if not (folder / MANIFEST).exists():
        return
    try:
        known = json.loads((folder / MANIFEST).read_bytes())["files"]
        files = {str(name): {"sha256": facts["sha256"], "size": facts["size"]} for name, facts in known.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise Refused(f"{folder / MANIFEST}: not a manifest of ours; copy the folder again") from None
    for name, facts in files.items():
        file = folder / name
        if not wanted(name):
            continue
        if not file.exists():
            raise Refused(f"{file}: named in {MANIFEST} but missing; copy the folder again")
        if file.stat().st_size != facts["size"]:
            raise Refused(f"{file}: {file.stat().st_size} bytes where {facts['size']} were saved; it was cut off, copy it again")
        if sha256_of(file) != facts["sha256"]:
            raise Refused(f"{file}: its sha256 is not the one in {MANIFEST}; it was altered, copy it again")


def whole(folder: Path) -> bool:
    """Whether a folder has a manifest and every file in it is as it was written."""
    try:
        check_manifest(folder)
    except (OSError, ValueError, KeyError):
        return False
    return (folder / MANIFEST).exists()
