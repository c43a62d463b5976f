"""Finding local files and turning their bytes into text.

Nothing of a file's text is ever put into an error.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from expunge.core.errors import Refused, listed
from expunge.core.notes import note

KINDS = (".jsonl", ".json", ".csv", ".tsv", ".parquet", ".txt")
# 8 Mi characters: a longer "line" is nearly always a file that lost its line ends
LONGEST_ROW = 1 << 23
LARGEST = 1 << 32  # bytes of one file, unpacked: rows stand in memory, several times over
HARMLESS = 1 << 28  # bytes that a packed file may always unpack to
# how many times its own size a packed file may hold beyond that; texts pack to about a fifth
PACKED = 100
BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Cells:
    """One row as the file holds it.

    ``where`` is ``file:line`` (of parquet and hub rows their number, from 1).
    """

    where: str
    values: Mapping[str, Any]


def kind_of(path: Path) -> str:
    """The suffix that decides how a file is read, without ``.gz``: '.jsonl', '.csv', ..."""
    if path.suffix.lower() == ".gz":
        return Path(path.stem).suffix.lower()
    return path.suffix.lower()


def stem_of(path: Path) -> str:
    """The file's name without its suffixes: ``a.v2.jsonl.gz`` -> ``a.v2``."""
    if path.suffix.lower() == ".gz":
        return Path(path.stem).stem
    return path.stem


def files_of(source: str) -> list[Path]:
    """The data files that a path names: the file itself, or every readable one below a folder,
    sorted; hidden ones are left out.
    """
    path = Path(source)
    try:
        there = path.exists()
        folder = path.is_dir()
    except (OSError, ValueError):  # a name too long, or with a NUL in it
        raise Refused(
            "the name of the data is not one that a file can have; pass a file, a folder or "
            "hub:owner/name"
        ) from None
    if not there:
        raise Refused(f"{source}: no such file{_nearest(path)}")
    if not folder:
        if not path.is_file():
            raise Refused(
                f"{source}: a pipe or a device and no file; save the rows to a file and pass that"
            )
        if kind_of(path) not in KINDS:
            raise Refused(
                f"{source}: files of type {kind_of(path) or 'none'} are not read; convert it to "
                f"one of {listed(KINDS)}"
            )
        return [path]
    inside = []
    for p in sorted(path.rglob("*")):
        hidden = any(part.startswith(".") for part in p.relative_to(path).parts)
        if p.is_file() and not hidden:
            inside.append(p)
    known = [p for p in inside if kind_of(p) in KINDS]
    if not known:
        raise Refused(
            f"{source}: no data files in this folder; it may hold {listed(KINDS)}, each also as .gz"
        )
    others = [p.relative_to(path).as_posix() for p in inside if kind_of(p) not in KINDS]
    if others:
        note(f"{source}: left aside: {len(others)} files that are no rows: {listed(others, 5)}")
    return known


def _nearest(path: Path) -> str:
    folder = path.parent
    if not folder.is_dir():
        return f", and no folder {folder}"
    names = [p.name for p in folder.iterdir() if not p.name.startswith(".")]
    near = get_close_matches(path.name, names, n=1, cutoff=0.5)
    return f"; did you mean {folder / near[0]}?" if near else "; pass a file or folder that exists"


def raw(path: Path, option: str = "") -> bytes:
    """The file's bytes, unpacked. ``option``: the option that named it, for the error.

    Refused: what cannot be opened, pipes and devices, a gz file that is cut off, and what unpacks
        to more than ``bound_of`` allows.
    """
    named = f"{option} {path}".strip()
    try:
        regular = path.is_file()
        there = path.exists()
        size = path.stat().st_size
        if regular and size <= LARGEST:
            data = path.read_bytes()
    except OSError as error:
        raise Refused(
            f"{named}: cannot be read ({error.strerror}); check the path and its permissions"
        ) from None
    except ValueError:  # a NUL in the name
        raise Refused(f"{option}: cannot be read (not the name of a file)".lstrip(": ")) from None
    if there and not regular:
        raise Refused(
            f"{named}: cannot be read (a folder, a pipe or a device and no file); pass a file"
        )
    if size > LARGEST:
        raise Refused(f"{named}: more than {LARGEST >> 30} GiB; split it into several files")
    return _unpacked(path, data) if path.suffix.lower() == ".gz" else data


def _unpacked(path: Path, data: bytes) -> bytes:
    whole = bytearray()
    try:
        with gzip.open(io.BytesIO(data)) as f:
            while chunk := f.read(1 << 16):
                whole += chunk
                if len(whole) > bound_of(len(data)):
                    raise too_large(path, len(data))
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        line = _line(whole, len(whole))
        raise Refused(
            f"{path}:{line}: the gz file is cut off or damaged about here "
            f"({type(error).__name__}); copy it again"
        ) from None
    return bytes(whole)


def bound_of(packed: int) -> int:
    """How many bytes a file of ``packed`` bytes may unpack to."""
    return min(LARGEST, max(HARMLESS, PACKED * packed))


def too_large(path: Path, packed: int) -> Refused:
    """The line for a file that unpacks to more than ``bound_of`` allows."""
    return Refused(
        f"{path}: {packed} bytes unpack to more than {bound_of(packed) >> 20} MiB; a file of rows "
        f"does not; copy it again"
    )


def text_of(path: Path, option: str = "") -> str:
    """The file's text, a UTF-8 byte-order mark dropped.

    Refused by line and byte offset: a NUL byte, or what is not UTF-8.

    ``option``: the option that named the file, for the error.
    """
    data = raw(path, option)
    skipped = len(BOM) if data.startswith(BOM) else 0
    nul = data.find(b"\0")
    if nul >= 0:
        raise Refused(
            f"{path}:{_line(data, nul)}: a NUL byte at byte {nul}; save the file as UTF-8 text "
            f"(UTF-16 is not read)"
        )
    try:
        return data[skipped:].decode("utf-8")
    except UnicodeDecodeError as error:
        at = error.start + skipped
        raise Refused(
            f"{path}:{_line(data, at)}: not UTF-8 at byte {at}; save the file as UTF-8"
        ) from None


def _line(data: bytes | bytearray, at: int) -> int:
    return data.count(b"\n", 0, at) + 1


def lines_of(path: Path, text: str, ends: bool = False) -> Iterator[tuple[int, str]]:
    """(line number, line), with its end if ``ends``.

    Only LF and CRLF end a line: U+2028 and its like belong to the text.

    In a file without any LF it is CR that ends them, as some spreadsheets write.
    """
    if "\n" not in text:
        text = text.replace("\r", "\n")
    for number, line in enumerate(text.split("\n"), 1):
        if len(line) > LONGEST_ROW:
            raise Refused(
                f"{path}:{number}: a row of more than {LONGEST_ROW >> 20} Mi characters; split it "
                f"into several rows"
            )
        yield number, line + "\n" if ends else line.removesuffix("\r")
