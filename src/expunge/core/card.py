"""What a member says of itself, and a member called by name with arguments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from expunge.core.results import EMPTY


@dataclass(frozen=True)
class Card:
    """What a member is and how sure we are of it.

    Written as literals only, so that it can be read without an import.

    ``evidence``: reference (a number made outside this repository is matched), theorem, oracle
    (worked by hand), reconstructed (constants open). ``settings``: benchmark -> training settings
    that a paper published. ``claims``: what a small step does (lowers_logp, raises_refusal,
    moves_hidden, ...). ``differs``: where we knowingly leave the paper. ``settings`` may hold the
    member's own arguments and an adapter (lora, lora_alpha, lora_targets, lora_dropout) too, where
    a benchmark's differ; ``name:benchmark`` are those of a published name. ``tune``: the values
    that are worth trying, argument by argument (``lr`` among them), for ``expunge auto``.
    """

    paper: str
    url: str
    where: str = ""
    family: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=lambda: EMPTY)
    tune: Mapping[str, tuple[Any, ...]] = field(default_factory=lambda: EMPTY)
    differs: str = ""
    evidence: Literal["reference", "theorem", "oracle", "reconstructed"] = "oracle"
    claims: str = ""
    extras: tuple[str, ...] = ()
    published_as: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: EMPTY)
    superseded_by: str = ""
    distributed: Literal["yes", "gather", "no"] = "yes"
    # metrics: what their records must hold (words of core.needs, observations); the
    # roles that a whole-model one reads; the unit of the value (core.units, which knows its range
    # and margin), whether it grows with what is known of the rows, and of which roles a metric by
    # role speaks, where it does not speak of all
    better: Any = ""
    unit: str = ""
    grows: Literal["", "knowledge"] = ""
    side: Literal["", "forgotten", "kept"] = ""
    needs: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    whole: bool = False
    # attacks: what the adversary needs (weights, logits, text), the planted hiding that it undoes,
    # and the argument that is its strength with the values that are tried where nothing else is
    # asked for
    rights: tuple[str, ...] = ()
    defeats: str = ""
    strength: tuple[str, tuple[Any, ...]] = ("", ())
    # names that the member had in earlier versions; they still find it
    formerly: tuple[str, ...] = ()


@dataclass(frozen=True)
class Call:
    """A member by name with arguments: plain data that prints, compares and survives JSON."""

    name: str
    args: Mapping[str, Any] = field(default_factory=lambda: EMPTY)

    def as_json(self) -> dict[str, Any]:
        return {"name": self.name, "args": dict(self.args)}


def call(name: str, **args: Any) -> Call:
    """``call("npo", beta=0.5)``: what a Run holds instead of a live object."""
    return Call(name, args)
