"""Damaged inputs: a good file, changed a little, by bytes or by what it says."""

from __future__ import annotations

import json
import random
from typing import Any

STRANGE = (
    None,
    True,
    -1,
    0,
    3,
    10**6,
    1e308,
    float("nan"),
    float("inf"),
    10**400,
    "",
    "\ud800",
    "\u2028",
    "\x1b[2J",
    "a" * 5000,
    "../../x",
    [],
    {},
    [[]],
    [None],
    {"a": None},
    [1, "a", {}],
    {"": ""},
)
BYTES = (
    b"\xff",
    b"\x00",
    b"\xef\xbb\xbf",
    b"\xed\xa0\x80",
    b"\x1f\x8b",
    b"\r",
    b"[" * 3000,
    b'{"a":' * 3000,
    b"NaN",
    b"&a *a",
    b"9" * 5000,
)


def damaged(good: bytes, draw: random.Random) -> bytes:
    """The file after one to three changes."""
    for _ in range(draw.randint(1, 3)):
        good = _by_value(good, draw) if draw.random() < 0.6 else _by_bytes(good, draw)
    return good


def _by_bytes(good: bytes, draw: random.Random) -> bytes:
    at, end = sorted(draw.randrange(len(good) + 1) for _ in range(2))
    kind = draw.randrange(5)
    if kind == 0:
        return good[:at]
    if kind == 1:
        return good[:at] + draw.choice(BYTES) + good[at:]
    if kind == 2:
        return good[:at] + good[end:]
    if kind == 3:
        return good[:end] + good[at:end] + good[end:]
    return good[:at] + bytes([draw.randrange(256)]) + good[at + 1 :]


def _by_value(good: bytes, draw: random.Random) -> bytes:
    """One value of a JSON (or JSON Lines) file replaced, removed, doubled or renamed; other files
    by bytes.
    """
    lines = good.splitlines() if good.count(b"\n{") else [good]
    if not lines:
        return _by_bytes(good, draw)
    at = draw.randrange(len(lines))
    try:
        value = json.loads(lines[at])
    except (ValueError, RecursionError):
        return _by_bytes(good, draw)
    lines[at] = json.dumps(_changed(value, draw)).encode()
    return b"\n".join(lines)


def _changed(value: Any, draw: random.Random) -> Any:
    inside = isinstance(value, (dict, list)) and len(value) > 0
    if not inside or draw.random() < 0.15:
        return draw.choice(STRANGE)
    if isinstance(value, list):
        i = draw.randrange(len(value))
        return [*value[:i], _changed(value[i], draw), *value[i + 1 :]]
    key = draw.choice(list(value))
    kind = draw.random()
    if kind < 0.1:
        return {k: v for k, v in value.items() if k != key}
    if kind < 0.2:
        return {str(draw.choice(STRANGE)) if k == key else k: v for k, v in value.items()}
    return {**value, key: _changed(value[key], draw)}
