"""Which passes a set of metrics needs, and the metrics' verdict on their records."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from expunge.core.records import Records
from expunge.core.types import Card, Measurement
from expunge.engine.measure import Want


@dataclass(frozen=True)
class Judge:
    """A metric made ready for a benchmark: the function, its card, the role it looks at (None: the whole model) and its arguments."""

    name: str
    fn: Callable[..., Measurement]
    card: Card
    role: str | None
    arguments: Mapping[str, Any]

    @property
    def key(self) -> str:
        """Its name in measurements.json."""
        return f"{self.role}/{self.name}" if self.role else self.name

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles whose records it reads."""
        return (self.role,) if self.role else tuple(self.arguments.get("roles", self.card.reads))

    def __call__(self, records: Records, gold: Records | None) -> Measurement:
        return self.fn(records, gold, **self.arguments) if self.role is None else self.fn(records, self.role, **self.arguments)


def want_of(card: Card) -> Want:
    """The passes that a metric needs of a role."""
    variants = ("answer", *(("paraphrase",) if "paraphrase" in card.needs else ()), *(("perturbed/",) if "perturbed" in card.needs else ()))
    return Want(variants, "S2" in card.needs, "moments" in card.needs)


def wants_of(judges: Sequence[Judge], present: Sequence[str]) -> dict[str, Want]:
    """role -> what all metrics together need of it, each pass once; only roles that the case has."""
    wants: dict[str, Want] = {}
    for judge in judges:
        for role in judge.roles:
            if role in present:
                wants[role] = wants.get(role, Want()) | want_of(judge.card)
    return wants


def judged(judges: Sequence[Judge], records: Records, gold: Records | None) -> dict[str, Measurement]:
    """Every metric's Measurement by key, in order."""
    return {j.key: j(records, gold) for j in judges}
