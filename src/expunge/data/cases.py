"""A Case from a user's own files, and digests of data."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from expunge.core.data import Case, Example, Picture
from expunge.core.errors import Refused
from expunge.data.files import stem_of
from expunge.data.overlap import unseen
from expunge.data.read import SURELY, read

Source = str | Path


def case_from_files(
    forget: Source | None = None,
    retain: Source | None = None,
    holdout: Source | None = None,
    columns: Mapping[str, str] | None = None,
) -> Case:
    """What is trained on (forget, retain) and what is asked (the same rows, and holdout), without a
    benchmark.

    Sources and ``columns`` as in ``read``. Refused: no source at all, and holdout rows that are
    trained on. Rows that stand in forget and retain at once are the caller's choice (see
    ``overlap``).
    """
    given = {
        role: s for role, s in (("forget", forget), ("retain", retain), ("holdout", holdout)) if s
    }
    if not set(given) & {"forget", "retain"}:
        raise Refused("no rows to work on; give --forget FILE, --retain FILE or both")
    stems = [_stem(s) for s in given.values()]
    # ids name a row across roles, so files of one name get their role before it
    prefix = {
        role: None if stems.count(_stem(s)) == 1 else f"{role}/{_stem(s)}"
        for role, s in given.items()
    }
    roles = {
        role: read(s, role=role, columns=columns, id_prefix=prefix[role])
        for role, s in given.items()
    }
    train = {role: rows for role, rows in roles.items() if role != "holdout"}
    unseen(roles.get("holdout", ()), [e for rows in train.values() for e in rows])
    return Case(train=train, evaluate=roles)


def _stem(source: Source) -> str:
    if str(source).startswith("hub:"):
        return str(source)
    return stem_of(Path(str(source).removeprefix(SURELY)))


def digest(examples: Iterable[Example], salt: str = "") -> str:
    """sha256 of the rows in order, as a hex string; where they lie does not count.

    Unsalted it keys internal caches only: whoever holds a candidate text could check it against the
    digest, so what a user sees, or a run leaves behind, takes a secret ``salt`` (HMAC).
    """
    made: hashlib._Hash | hmac.HMAC = (
        hmac.new(salt.encode(), digestmod="sha256") if salt else hashlib.sha256()
    )
    for e in examples:
        if e.messages is None:
            turns = None
        else:
            turns = [dict(t) for t in e.messages]
        row: list[object] = [
            e.id,
            e.role,
            e.group,
            e.prompt,
            turns,
            e.text,
            e.answer,
            sorted(e.variants.items()),
            list(e.options),
            list(e.tags),
        ]
        row += [] if e.right is None else [e.right]
        row += [sorted((k, v) for k, v in e.media.items())] if isinstance(e.media, dict) else []
        if isinstance(e.media, Picture):
            pixels = hashlib.sha256(e.media.data).hexdigest()
            row += [[e.media.height, e.media.width, e.media.channels, pixels]]
        made.update(json.dumps(row, ensure_ascii=True, separators=(",", ":")).encode() + b"\n")
    return made.hexdigest()
