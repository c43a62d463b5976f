"""Load and save a model of whatever family: the settings in its folder say which one it is."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from expunge.core.data import Example
from expunge.core.errors import Refused
from expunge.models.base import Family, TrainableModel
from expunge.models.causal_lm.family import CausalLanguageModels
from expunge.models.causal_lm.model import Subject
from expunge.models.image_classifier.family import ImageClassifiers

# asked in this order; the last one takes what no other claims
FAMILIES: tuple[Family, ...] = (ImageClassifiers(), CausalLanguageModels())


def load(
    source: str | Path,
    *,
    dtype: str = "auto",
    device: str = "auto",
    trust_remote_code: bool = False,
) -> Subject:
    """A model from a local folder (of a model, of a run, of an adapter) or a hub id.

    Args:
        source: The folder or the hub id.
        dtype: ``auto``, ``stored``, or a type of torch by name.
        device: ``auto``, or a device of torch by name.
        trust_remote_code: Whether code that comes with the model may run.

    Raises:
        Refused: The folder holds no model that can be read as it is.
    """
    family = family_of(source)
    model: Subject = family.load(
        source, dtype=dtype, device=device, trust_remote_code=trust_remote_code
    )
    return model


def save(model: TrainableModel, folder: Path, card: str = "") -> Path:
    """Write a model's folder, whole or not at all; ``card`` becomes README.md."""
    return named(model.family).save(model, folder, card)


def family_for(examples: Sequence[Example]) -> Family:
    """The family whose models read these rows."""
    return next(family for family in FAMILIES if family.holds(examples))


def check_alike(name: str, one: TrainableModel, other: str, another: TrainableModel) -> None:
    """Refuse two models that read or say different things: they cannot be compared.

    Args:
        name: The judged model, in messages.
        one: The judged model.
        other: What stands beside it, in messages.
        another: What stands beside it.
    """
    family, its = named(one.family), named(another.family)
    if family.name != its.name:
        raise _kinds(name, family, other, its)
    family.check_alike(name, family.said_by(one), other, family.said_by(another))


def check_sources_alike(name: str, other: str, trust_remote_code: bool = False) -> None:
    """``check_alike`` of two folders or hub ids, without their weights."""
    one, another = family_of(name), family_of(other)
    if one.name != another.name:
        raise _kinds(name, one, other, another)
    said = [one.said_at(place, trust_remote_code) for place in (name, other)]
    one.check_alike(name, said[0], other, said[1])


def _kinds(name: str, one: Family, other: str, another: Family) -> Refused:
    return Refused(
        f"{name} is {one.title}, {other} is {another.title}: what they say cannot be compared"
    )


def named(name: str) -> Family:
    """The family of a name.

    Raises:
        LookupError: There is none.
    """
    for family in FAMILIES:
        if family.name == name:
            return family
    raise LookupError(f"no family {name!r}")


def family_of(source: str | Path) -> Family:
    """The family of the model that a folder or a hub id names."""
    settings = _settings(Path(source))
    return next(family for family in FAMILIES if family.reads(settings))


def _settings(place: Path) -> Mapping[str, Any]:
    """config.json of a model's folder, or of the model in a run's folder; empty where none can be
    read.
    """
    for file in (place / "model" / "config.json", place / "config.json"):
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(found, dict):
            return found
    return {}
