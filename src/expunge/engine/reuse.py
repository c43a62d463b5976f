"""Passes that are made once: kept in EXPUNGE_CACHE under a hash of the weights, the rows, the template, the dtype and what was asked."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from expunge.core.files import sha256_of
from expunge.core.records import Records
from expunge.core.types import Examples
from expunge.data.cases import digest
from expunge.engine.measure import Cost, Want, measure
from expunge.engine.parts import covering, cut_out, parts_of, together
from expunge.engine.records_io import read_records, salted, with_salted_ids, write_records, write_texts
from expunge.models.subject import Subject, words_of
from expunge.progress import Tick

CODE = 7  # raise when what a pass computes changes


def place() -> Path | None:
    """The folder that EXPUNGE_CACHE names, if it does. It holds texts of the data, so it is made for its owner only."""
    named = os.environ.get("EXPUNGE_CACHE")
    if not named:
        return None
    folder = Path(named).expanduser()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def salt_of(folder: Path) -> str:
    """The secret under which ids are hashed in a folder; made at first use, readable by its owner only."""
    file = folder / "salt"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as f:
            f.write(secrets.token_hex(16))
    except FileExistsError:
        pass
    return file.read_text()


def key_of(subject: Subject, roles: Mapping[str, Examples], wants: Mapping[str, Want], settings: Mapping[str, int]) -> str:
    """What decides the records of a pass, as one sha256: weights, tokenizer and template, dtype, rows, what was asked, libraries."""
    tokenizer = subject.tokenizer
    facts = [
        CODE,
        subject.digest,
        words_of(tokenizer),
        getattr(tokenizer, "chat_template", None),
        type(tokenizer).__name__,
        subject.eos_ids,
    ]
    facts += [str(next(subject.model.parameters()).dtype), version("torch"), version("transformers"), sorted(settings.items())]
    facts += [(role, str(want), digest(roles[role])) for role, want in sorted(wants.items())]
    if any(want.more.shots for want in wants.values()):
        facts.append(digest(roles.get("holdout", ())))  # the shots come from there
    if any(want.more.depth or want.more.columns for want in wants.values()):
        facts.append(subject.original.digest if subject.original else "")  # what is patched, or compared with
    if any(want.more.divergence for want in wants.values()):
        facts.append(subject.gold.digest if subject.gold else "")
    if any(want.more.neighbours for want in wants.values()):
        facts.append(subject.mlm.digest if subject.mlm else "")  # who writes them
    return hashlib.sha256(json.dumps(facts, default=str).encode()).hexdigest()


def measured(
    subject: Subject,
    roles: Mapping[str, Examples],
    wants: Mapping[str, Want],
    *,
    salt: str,
    name: str = "model",
    max_new_tokens: int = 200,
    max_length: int = 512,
    tick: Tick = lambda n: None,
) -> tuple[Records, Cost | None]:
    """``measure`` with salted ids; what the cache holds of it is not made again (Cost is None if no model ran at all).

    Each role's answers, other variants, options and optional passes are kept apart, so that another metric or another role makes only
    what is new. What is kept stands beside the sha256 of its files and the key that it answers to: an entry that is damaged, of another
    make, moved here from another key, or under another salt, is made again and counted on standard error.
    """
    settings = {"max_new_tokens": max_new_tokens, "max_length": max_length}
    cache = place() if subject.digest else None
    if cache is None:
        found = measure(subject, roles, wants, name=name, tick=tick, **settings)
        return with_salted_ids(found.records, salt), found.cost
    salt = salt_of(cache)
    entry = lambda role, want: cache / "passes" / key_of(subject, roles, {role: want}, settings)
    kept: dict[tuple[str, str], Records] = {}
    new: dict[str, Want] = {}
    broken: set[Path] = set()
    for role, whole in wants.items():
        for part, want in parts_of(whole):
            there = next((r for w in covering(part, want) if (r := _kept(entry(role, w), salt, broken)) is not None), None)
            kept[role, part] = Records() if there is None else there
            if there is None:
                new[role] = new[role] | want if role in new else want
    if broken:
        print(f"{cache}: kept passes that are damaged or of another make, made again: {len(broken)}", file=sys.stderr)
    cost = None
    if new:
        made = measure(subject, {**roles}, new, name=name, tick=tick, **settings)
        records, cost = with_salted_ids(made.records, salt), made.cost
        for role, whole in new.items():
            for part, want in parts_of(whole):
                kept[role, part] = cut_out(records, role, part)
                _keep(kept[role, part], entry(role, want), salt)
    return _named(together(kept), name), cost


def _kept(entry: Path, salt: str, broken: set[Path]) -> Records | None:
    """The records of an entry; None if there is none, or none that is whole: such a one joins ``broken``."""
    if not entry.exists():
        return None
    try:
        if (entry / "done").read_text() == _sums(entry, entry.name, salt):
            return read_records(entry / "records.parquet", entry / "texts.jsonl")
    except (OSError, ValueError):
        pass
    broken.add(entry)
    return None


def _keep(records: Records, entry: Path, salt: str) -> None:
    """Write an entry beside its place and move it in whole: neither a kill nor another process leaves half of one."""
    part = entry.with_name(f"{entry.name}.{secrets.token_hex(4)}")
    part.mkdir(parents=True, mode=0o700)
    try:
        write_records(records, part / "records.parquet")
        write_texts(records, part / "texts.jsonl")
        (part / "done").write_text(_sums(part, entry.name, salt))
        shutil.rmtree(entry, ignore_errors=True)
        with suppress(OSError):  # another process has just kept the same; what is not kept is made again
            part.rename(entry)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _sums(entry: Path, key: str, salt: str) -> str:
    """What stands beside an entry: its key under the salt of its ids, and the sha256 of what it holds."""
    return "\n".join([salted(key, salt), *(f"{sha256_of(entry / name)} {name}" for name in ("records.parquet", "texts.jsonl"))])


def _named(records: Records, name: str) -> Records:
    return Records(replace(r, subject=name) for r in records)


def entries() -> list[Path]:
    """The folder of every kept pass."""
    cache = place()
    return sorted((cache / "passes").iterdir()) if cache and (cache / "passes").exists() else []


def size() -> tuple[int, int]:
    """How many passes are kept, and their bytes."""
    found = entries()
    return len(found), sum(p.lstat().st_size for entry in found for p in entry.rglob("*") if p.is_file())


def clear() -> int:
    """Remove every kept pass; how many there were."""
    found = entries()
    for entry in found:
        shutil.rmtree(entry, ignore_errors=True)
    return len(found)
