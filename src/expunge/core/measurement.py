"""What a metric gives: a value with what is needed to believe it, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from expunge.core.units import too_few

Better = Literal["higher", "lower", "gold"] | float
EMPTY: Mapping[Any, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Measurement:
    """A value with what is needed to believe it, or the reason why there is none.

    ``value`` None means unscored; then ``reason`` says why. ``interval`` is the 95 % interval over ``groups`` groups (maths.statistics).
    ``parts``: numbers that the value is made of, or that one must see beside it (a histogram, the summands of an aggregate). ``note``: a
    line that must be read beside the value.
    ``each``: (role, id) -> (number, group) of the rows whose mean the value is, or whose AUC between forget and holdout; that two
    models can be compared row by row. It is not written. ``margin``: the difference to another model that is too small to matter (None:
    not known). ``fewest``: the groups of the smallest side, where sides are counted together (forget and holdout); 0: ``groups``.
    """

    value: float | None
    n: int = 0
    groups: int = 0
    interval: tuple[float, float] | None = None
    better: Better | None = None
    reason: str | None = None
    parts: Mapping[str, float] = field(default_factory=lambda: EMPTY)
    note: str = field(default="", kw_only=True)
    each: Mapping[tuple[str, str], tuple[float, str]] = field(default_factory=lambda: EMPTY, compare=False, repr=False)
    margin: float | None = None
    fewest: int = 0

    @property
    def warning(self) -> str:
        """``too few groups`` where the value rests on fewer than FEW_GROUPS of them (of its smallest side); else ''."""
        return too_few(self.fewest or self.groups) if self.value is not None else ""

    def as_json(self) -> dict[str, Any]:
        return {
            "value": self.value,
            "n": self.n,
            "groups": self.groups,
            "interval": list(self.interval) if self.interval else None,
            "better": self.better,
            "margin": self.margin,
            "reason": self.reason,
            **({"note": self.note} if self.note else {}),
            **({"warning": self.warning} if self.warning else {}),
            **({"fewest": self.fewest} if self.fewest else {}),
            **({"parts": dict(self.parts)} if self.parts else {}),
        }


def unscored(reason: str, better: Better | None = None) -> Measurement:
    """No number, and why. Never a stand-in value."""
    return Measurement(value=None, better=better, reason=reason)
