"""OUT/lineage: the start model of an ensemble, every shard after every slice, and the index of its
rows.

It is its owner's alone: OUT/model is what is handed on.
"""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from expunge.core.errors import Refused
from expunge.core.files import private_folder, write_json
from expunge.core.lineage import Lineage, Place
from expunge.models.ensemble import MEAN, Ensemble

FOLDER, INDEX, START = "lineage", "index.json", "start"
CERTIFICATE = "certificate.json"


def lineage_folder(out: Path) -> Path:
    """The folder of a run's lineage, made if it is not there; readable by its owner only."""
    return private_folder(out / FOLDER)


def checkpoint(home: Path, place: Place) -> Path:
    """Where a shard stands after a slice; after slice 0 it is the start model."""
    shard, piece = place
    return home / f"shard-{shard}" / f"slice-{piece}" if piece else home / START


def versions(device: torch.device) -> dict[str, str]:
    """What the bits of a training depend on besides its data and settings."""
    found = {name: version(name) for name in ("torch", "transformers")}
    return {**found, "device": device.type}


def write_index(home: Path, lineage: Lineage) -> None:
    """Write the index: fingerprints under a secret, no text."""
    write_json(home / INDEX, lineage.as_json(), mode=0o600)


def read_index(home: Path) -> Lineage:
    """The index of a lineage's folder.

    Raises:
        Refused: There is none, or it is none of ours.
    """
    file = home / INDEX
    try:
        return Lineage.from_json(json.loads(file.read_bytes()))
    except FileNotFoundError:
        raise Refused(
            f"{file} is not there: without it nobody knows which shard was trained on which row; "
            f"keep {FOLDER}/ beside the model, or train again with --shards"
        ) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise Refused(f"{file}: not an index of ours; copy {FOLDER}/ again") from None


def retrained_of(out: Path) -> dict[str, dict[str, Any]]:
    """What run.yaml keeps of a run's lineage: shards, slices, and what a deletion trained again;
    {} of a run without one.
    """
    if not (out / FOLDER / INDEX).is_file():
        return {}
    index = read_index(out / FOLDER)
    facts = {"ensemble": {"shards": index.shards, "slices": index.slices, "rule": MEAN}}
    if (out / CERTIFICATE).is_file():
        told = json.loads((out / CERTIFICATE).read_text(encoding="utf-8"))
        names = ("kind", "before", "model", "removed_rows", "steps", "steps_of_all")
        facts["certificate"] = {name: told[name] for name in names}
    return facts


def lineage_of(model: Ensemble) -> tuple[Path, Lineage]:
    """The lineage that lies beside an ensemble's folder.

    Raises:
        Refused: There is none, or it is that of another ensemble.
    """
    if model.folder is None:
        raise Refused("an ensemble without a folder has no lineage; give the folder of its run")
    home = model.folder.parent / FOLDER
    found = read_index(home)
    if found.digest != model.digest:
        raise Refused(
            f"{home / INDEX} is not that of {model.source}: the digest of the model is another; "
            f"bring back the model or the {FOLDER}/ that belongs to it"
        )
    return home, found
