"""A Case from a user's own files, and digests of data."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from expunge.core.types import Case, Example, Examples
from expunge.data.files import stem_of
from expunge.data.overlap import settled, unseen
from expunge.data.read import read

Source = str | Path


def case_from_files(
    forget: Source,
    retain: Source | None = None,
    holdout: Source | None = None,
    columns: Mapping[str, str] | None = None,
    *,
    allow_overlap: str = "",
) -> Case:
    """What is trained on and what is asked, without a benchmark: the same rows. ``train`` has forget, retain (if given) and full, their union.

    Sources and ``columns`` as in ``read``. Refused: forget rows in retain (unless ``allow_overlap`` is drop or keep), holdout rows in either.
    """
    given = {role: s for role, s in (("forget", forget), ("retain", retain), ("holdout", holdout)) if s is not None}
    stems = [_stem(s) for s in given.values()]
    # ids name a row across roles, so two files of one name get their role before it
    prefix = {role: None if stems.count(_stem(s)) == 1 else f"{role}/{_stem(s)}" for role, s in given.items()}
    roles = {role: read(s, role=role, columns=columns, id_prefix=prefix[role]) for role, s in given.items()}
    if "retain" in roles:
        roles["retain"] = settled(roles["forget"], roles["retain"], allow_overlap)
    train = {role: rows for role, rows in roles.items() if role != "holdout"}
    full = tuple(e for rows in train.values() for e in rows)
    unseen(roles.get("holdout", ()), full)
    return Case(train={**train, "full": full}, evaluate=roles)


def _stem(source: Source) -> str:
    return str(source) if str(source).startswith("hub:") else stem_of(Path(source))


def digest(examples: Iterable[Example], salt: str = "") -> str:
    """sha256 of the rows in order, as a hex string; where they lie does not count.

    Unsalted it keys internal caches only: whoever holds a candidate text could check it against the digest, so what a user
    sees, or a run leaves behind, takes a secret ``salt`` (HMAC).
    """
    made: hashlib._Hash | hmac.HMAC = hmac.new(salt.encode(), digestmod="sha256") if salt else hashlib.sha256()
    for e in examples:
        turns = None if e.messages is None else [dict(t) for t in e.messages]
        row = [e.id, e.role, e.group, e.prompt, turns, e.text, e.answer, sorted(e.variants.items()), list(e.options), list(e.tags)]
        made.update(json.dumps(row, ensure_ascii=True, separators=(",", ":")).encode() + b"\n")
    return made.hexdigest()


def retagged(examples: Examples, role: str) -> Examples:
    """The same rows in another role."""
    from dataclasses import replace

    return tuple(e if e.role == role else replace(e, role=role) for e in examples)
