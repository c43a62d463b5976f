"""What a guard has learned, in a folder: ``guard.json`` for people, ``state.safetensors`` for the
guard; no text of the rows is in either.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from expunge.core.errors import Refused
from expunge.core.files import (
    check_manifest,
    private_folder,
    unfinished,
    write_json,
    write_manifest,
)
from expunge.core.guard import GuardState
from expunge.core.results import EMPTY

FOLDER, TOLD, STATE = "guard", "guard.json", "state.safetensors"
SCHEMA = 1


@dataclass(frozen=True)
class FittedGuard:
    """A guard by name with what it has learned, and the model that it stands before.

    Attributes:
        name: The member.
        args: Its arguments.
        state: What it has learned.
        base: Where the model lies.
        base_digest: The digest of the model; another one is refused.
    """

    name: str
    args: Mapping[str, Any] = field(default_factory=lambda: EMPTY)
    state: GuardState = field(default_factory=GuardState)
    base: str = ""
    base_digest: str = ""

    @property
    def digest(self) -> str:
        """sha256 over everything that decides what the guarded model says."""
        told = json.dumps(
            [self.name, dict(self.args), dict(self.state.facts), self.base_digest], sort_keys=True
        )
        digest = sha256(told.encode())
        for name in sorted(self.state.arrays):
            array = self.state.arrays[name]
            digest.update(f"{name} {array.dtype} {array.shape}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


def write_guard(place: Path, guard: FittedGuard) -> None:
    """Write a guard into a folder that its owner alone can enter, the manifest last."""
    private_folder(place)
    with unfinished(place / STATE, 0o600) as part:
        arrays = {name: np.ascontiguousarray(x) for name, x in guard.state.arrays.items()}
        part.write_bytes(save(arrays))
    told = {
        "schema": SCHEMA,
        "guard": {"name": guard.name, "args": dict(guard.args)},
        "base": {"source": guard.base, "digest": guard.base_digest},
        "state": dict(guard.state.facts),
    }
    write_json(place / TOLD, told, mode=0o600)
    write_manifest(place)


def guard_folder(source: str | Path) -> Path | None:
    """The folder of the guard that a run made; None if ``source`` is no such run."""
    place = Path(source) / FOLDER
    return place if (place / TOLD).is_file() else None


def read_guard(place: Path) -> FittedGuard:
    """The guard in a folder.

    Raises:
        Refused: A file is missing, altered or no guard of ours.
    """
    check_manifest(place)
    try:
        told = json.loads((place / TOLD).read_text(encoding="utf-8"))
        if told["schema"] != SCHEMA:
            raise Refused(f"{place}: a guard of another version of expunge; fit it again")
        return FittedGuard(
            str(told["guard"]["name"]),
            dict(told["guard"]["args"]),
            GuardState(load((place / STATE).read_bytes()), dict(told["state"])),
            str(told["base"]["source"]),
            str(told["base"]["digest"]),
        )
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        if isinstance(error, Refused):
            raise
        raise Refused(f"{place}: cannot be read as a guard; fit it again") from None
