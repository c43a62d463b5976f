"""Passes that are made once: kept in EXPUNGE_CACHE under a hash of the weights, the rows, the
template, the dtype and what was asked.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import secrets
import shutil
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from expunge.core.data import Examples
from expunge.core.errors import Failed, Refused
from expunge.core.escape import say
from expunge.core.files import (
    create,
    make_folder,
    mine,
    private_folder,
    remove,
    sha256_of,
    write_text,
)
from expunge.core.progress import Tick
from expunge.core.results import Records
from expunge.data.cases import digest
from expunge.evaluation.cache_parts import covering, cut_out, parts_of, together
from expunge.evaluation.observations.base import Cost, References, Want
from expunge.evaluation.observe import measure
from expunge.evaluation.store import (
    read_records,
    salted,
    with_salted_ids,
    write_records,
    write_texts,
)
from expunge.models.causal_lm.model import Subject

CODE = 10  # raise when what a pass computes changes
NOTHING = References()
SECRET = re.compile("[0-9a-f]{32}")


def place() -> Path | None:
    """The folder that EXPUNGE_CACHE names, if it does.

    It holds texts of the data, so it is made for its owner only.

    Refused: a folder of another user, or one that others may write to: what is kept there is
        believed.
    """
    named = os.environ.get("EXPUNGE_CACHE")
    if not named:
        return None
    folder = Path(named).expanduser()
    try:
        make_folder(folder, 0o700)
        facts = folder.stat()
    except OSError as error:
        raise Refused(
            f"EXPUNGE_CACHE {folder}: cannot be used ({error.strerror}); name a folder of your own"
        ) from None
    if not mine(facts):
        raise Refused(
            f"EXPUNGE_CACHE {folder} belongs to another user, who could put numbers there; name a "
            f"folder of your own"
        )
    if facts.st_mode & 0o022:
        raise Refused(
            f"EXPUNGE_CACHE {folder} can be written by others, who could put numbers there; chmod "
            f"go-w {folder}, or name another folder"
        )
    return folder


def salt_of(folder: Path) -> str:
    """The secret under which ids are hashed in a folder; made at first use, readable by its owner
    only.
    """
    return secret_in(private_folder(folder) / "salt")


def salt_for(private: Path) -> str:
    """The secret of a run: its own, kept in ``private``, or that of the cache, so that what is kept
    there can be used.

    In a cache it is made of the salt there and the user's key: who hands a cache on does not know
    it.
    """
    cache = place()
    if cache is None:
        return salt_of(private)
    private_folder(private)
    return salted(secret_in(cache / "salt"), user_key())


def secret_in(file: Path) -> str:
    """32 hex digits known to the owner of ``file`` alone; drawn at first use and moved in whole.

    Refused: a file that holds something else (a full disk leaves an empty one, and a hash under an
        empty key is an open one), a link, a file of another user.
    """
    if not file.exists() and not file.is_symlink():
        _draw(file)
    try:
        facts = file.lstat()
        if stat.S_ISREG(facts.st_mode) and mine(facts):
            if facts.st_mode & 0o077:
                file.chmod(0o600)
            found = file.read_text(encoding="ascii")
            if SECRET.fullmatch(found):
                return found
    except (OSError, ValueError):
        pass
    raise Refused(
        f"{file}: no secret of ours (32 hex digits, a plain file of your own); hashes of ids made "
        f"with it hide nothing. "
        f"Remove {file} and what was written under it, then run again"
    )


def _draw(file: Path) -> None:
    """Write a new secret beside its place and link it in: never half of one, never over another
    process's.
    """
    part = file.with_name(f".{file.name}.{secrets.token_hex(6)}.unfinished")
    try:
        with open(create(part, 0o600), "w", encoding="utf-8") as f:
            f.write(secrets.token_hex(16))
            f.flush()
            os.fsync(f.fileno())
        try:
            os.link(part, file)  # fails where another process was first
        except OSError:
            if not file.exists():  # a file system without hard links
                part.replace(file)
    except OSError as error:
        raise Failed(
            f"could not write {file}: {error.strerror}; free some space and run again"
        ) from None
    finally:
        part.unlink(missing_ok=True)


def user_key() -> str:
    """What shows an entry of the cache to be of this user's making: kept outside of every cache, so
    that no folder of passes that comes from somewhere else is believed.
    """
    base = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    try:
        return secret_in(make_folder(Path(base).expanduser() / "expunge", 0o700) / "cache.key")
    except (OSError, RuntimeError, Failed):
        raise Refused(
            f"EXPUNGE_CACHE needs a key of your own in {base}/expunge, which cannot be written; "
            f"set XDG_CONFIG_HOME to a folder that can"
        ) from None


def key_of(
    subject: Subject,
    roles: Mapping[str, Examples],
    wants: Mapping[str, Want],
    settings: Mapping[str, int],
    model: str = "",
    references: References = NOTHING,
) -> str:
    """What decides the records of a pass, as one sha256: the model and its files, rows, what was
    asked, libraries.

    ``model``: ``subject.decided()`` where the caller has it already.
    """
    facts: list[object] = [
        CODE,
        subject.digest,
        model or subject.decided(),
        sorted(settings.items()),
    ]
    facts += [version(name) for name in ("torch", "transformers", "tokenizers", "peft")]
    facts += [(role, str(want), digest(roles[role])) for role, want in sorted(wants.items())]
    for _, want in sorted(wants.items()):
        for observation in want.observations:
            facts += [observation.name, observation.version]
            facts += [digest(roles.get(role, ())) for role in observation.other_roles]
            facts += [_beside(getattr(references, which)) for which in observation.beside]
    return hashlib.sha256(json.dumps(facts, default=str).encode()).hexdigest()


def _beside(other: Any) -> tuple[str, ...]:
    """What decides what a model beside the judged one says: a Subject, or another model with a
    digest.
    """
    if other is None:
        return ()
    return (other.digest, other.decided()) if hasattr(other, "decided") else (other.digest,)


def measured(
    subject: Subject,
    roles: Mapping[str, Examples],
    wants: Mapping[str, Want],
    *,
    references: References = NOTHING,
    salt: str,
    name: str = "model",
    max_new_tokens: int = 200,
    max_length: int = 512,
    tick: Tick = lambda n: None,
) -> tuple[Records, Cost | None]:
    """``measure`` with salted ids; what the cache holds of it is not made again (Cost is None if no
    model ran at all).

    Each role's answers, other variants, options and optional passes are kept apart, so that another
    metric or another role makes only what is new. What is kept stands beside the sha256 of its
    files and the key that it answers to: an entry that is damaged, of another make, moved here from
    another key, or under another salt, is made again and counted on standard error.
    """
    settings = {"max_new_tokens": max_new_tokens, "max_length": max_length}
    cache = place() if subject.digest else None
    if cache is None:
        found = measure(
            subject, roles, wants, references=references, name=name, tick=tick, **settings
        )
        return with_salted_ids(found.records, salt), found.cost
    salt = salt_for(cache)
    passes, model = _passes(cache), subject.decided()
    entry = lambda role, want: (
        passes / key_of(subject, roles, {role: want}, settings, model, references)
    )
    kept: dict[tuple[str, str], Records] = {}
    new: dict[str, Want] = {}
    broken: set[Path] = set()
    for role, whole in wants.items():
        for part, want in parts_of(whole):
            there = next(
                (
                    r
                    for w in covering(part, want)
                    if (r := _kept(entry(role, w), salt, broken)) is not None
                ),
                None,
            )
            kept[role, part] = Records() if there is None else there
            if there is None:
                new[role] = new[role] | want if role in new else want
    if broken:
        say(f"{cache}: kept passes that are damaged or of another make, made again: {len(broken)}")
    cost = None
    if new:
        made = measure(
            subject, {**roles}, new, references=references, name=name, tick=tick, **settings
        )
        records, cost = with_salted_ids(made.records, salt), made.cost
        for role, whole in new.items():
            for part, want in parts_of(whole):
                kept[role, part] = cut_out(records, role, part)
                _keep(kept[role, part], entry(role, want), salt)
    return _named(together(kept), name), cost


def _kept(entry: Path, salt: str, broken: set[Path]) -> Records | None:
    """The records of an entry; None if there is none, or none that is whole: such a one joins
    ``broken``.
    """
    if not entry.exists():
        return None
    try:
        if hmac.compare_digest(
            (entry / "done").read_bytes(), _sums(entry, entry.name, salt).encode()
        ):
            return read_records(entry / "records.parquet", entry / "texts.jsonl")
    except (OSError, ValueError):
        pass
    broken.add(entry)
    return None


def _keep(records: Records, entry: Path, salt: str) -> None:
    """Write an entry beside its place and move it in whole: neither a kill nor another process
    leaves half of one.
    """
    part = entry.with_name(f"{entry.name}.{secrets.token_hex(4)}")
    make_folder(part, 0o700)
    try:
        write_records(records, part / "records.parquet")
        write_texts(records, part / "texts.jsonl")
        write_text(part / "done", _sums(part, entry.name, salt))
        # another process has just kept the same; what is not kept is made again
        with suppress(OSError):
            remove(entry)
        with suppress(OSError):
            part.rename(entry)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _sums(entry: Path, key: str, salt: str) -> str:
    """What stands beside an entry: its key, the salt of its ids and what it holds, under the user's
    own key.

    Nobody else can write it, so an entry that was changed, moved or brought from elsewhere is not
    believed.
    """
    held = [f"{sha256_of(entry / name)} {name}" for name in ("records.parquet", "texts.jsonl")]
    return hmac.new(
        user_key().encode(), "\n".join([key, salt, *held]).encode(), hashlib.sha256
    ).hexdigest()


def _named(records: Records, name: str) -> Records:
    return Records(replace(r, subject=name) for r in records)


def entries() -> list[Path]:
    """The folder of every kept pass.

    Refused where they lie behind a link: they are not of this cache.
    """
    cache = place()
    passes = _passes(cache) if cache else None
    return sorted(passes.iterdir()) if passes is not None and passes.exists() else []


def _passes(cache: Path) -> Path:
    passes = cache / "passes"
    if passes.is_symlink():
        raise Refused(f"{passes}: is a link out of the cache; remove the link")
    return passes


def size() -> tuple[int, int]:
    """How many passes are kept, and their bytes."""
    found = entries()
    return len(found), sum(
        p.lstat().st_size for entry in found for p in entry.rglob("*") if p.is_file()
    )


def clear() -> int:
    """Remove every kept pass; how many there were.

    An entry that is a link is removed, what it leads to is not.
    """
    found = entries()
    for entry in found:
        remove(entry)
    return len(found)
