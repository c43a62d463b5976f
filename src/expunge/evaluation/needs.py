"""From the ``needs`` of a metric's card to what the models are asked: every word is known, or is
refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any

from expunge.core.card import Card
from expunge.core.errors import no_choice
from expunge.core.needs import NEEDS
from expunge.core.results import EMPTY
from expunge.evaluation import observations as folder
from expunge.evaluation.observations.base import Field, Observation, Want, merged
from expunge.evaluation.observations.multiple_choice import MultipleChoice
from expunge.evaluation.observations.teacher_forced import TeacherForced

# needs that are an observation with an option of its own
ASPECTS: Mapping[str, Observation] = {
    "paraphrase": TeacherForced(scored=("paraphrase",)),
    "perturbed": TeacherForced(scored=("perturbed/",)),
    "lower": TeacherForced(scored=("lower",)),
    "moments": TeacherForced(moments=True),
    "option_texts": MultipleChoice(letters=False),
}


@cache
def observations() -> Mapping[str, type[Observation]]:
    """Every observation by name: those that the files of ``evaluation/observations`` declare.

    Raises:
        ValueError: A name is not that of its file, or two observations record a field of one name.
    """
    found: dict[str, type[Observation]] = {}
    owners: dict[str, str] = {}
    for file in sorted(Path(str(folder.__file__)).parent.glob("*.py")):
        module = import_module(f"{folder.__name__}.{file.stem}")
        for value in vars(module).values():
            if (
                isinstance(value, type)
                and issubclass(value, Observation)
                and value.name
                and value.__module__ == module.__name__
            ):
                if value.name != file.stem:
                    raise ValueError(
                        f"observation {value.name} stands in {file.name}; a file is named after "
                        f"its observation"
                    )
                for name in value.fields:
                    if owners.setdefault(name, value.name) != value.name:
                        raise ValueError(
                            f"observations {owners[name]} and {value.name} both record the field "
                            f"{name}"
                        )
                found[value.name] = value
    return MappingProxyType(found)


def recorded() -> dict[str, Field]:
    """Every field that observations add to records, by name."""
    return {
        name: kind
        for observation in observations().values()
        for name, kind in observation.fields.items()
    }


def check_needs(name: str, card: Card) -> None:
    """Refuse a metric that asks for what does not exist: it would be asked nothing and read
    nothing.

    Args:
        name: The metric.
        card: Its card.

    Raises:
        Refused: A need is unknown; the nearest one is named.
    """
    known = (*NEEDS, *observations())
    for need in card.needs:
        if need not in known:
            raise no_choice(f"metric {name}: needs", need, known)


def want_of(card: Card, settings: Mapping[str, Any] = EMPTY) -> Want:
    """What a metric needs of a role: every word of its card that is an observation, or one with an
    option, and the answers scored if any of these reads them.

    Args:
        card: The metric's card.
        settings: Its arguments; those that bear the name of an observation's option set it.
    """
    asked: tuple[Observation, ...] = ()
    known = observations()
    for need in card.needs:
        if need in known:
            asked = merged(asked, (made(known[need], settings),))
    for need, observation in ASPECTS.items():
        if need in card.needs:
            asked = merged(asked, (observation,))
    if any(observation.of_answers for observation in asked):
        asked = merged(asked, (TeacherForced(),))
    return Want(asked)


def made(cls: type[Observation], settings: Mapping[str, Any]) -> Observation:
    """An observation with the options that a metric's arguments set."""
    own = {f.name: settings[f.name] for f in fields(cls) if f.name in settings}
    return cls(**{name: tuple(x) if isinstance(x, list) else x for name, x in own.items()})
