"""How good a candidate is, from probabilities alone: no gold model and no attack is looked at.

Forgetting is measured against a floor: what a model that never saw the rows would give them. Nobody
has that model here, so the floor is estimated from the original alone, and is the same for every
candidate. Whoever lowered it by lowering everything unknown would gain
nothing: with the candidate's own holdout rows as its floor, methods that drive the answers to zero
    came first on the built-in case.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Any


@dataclass(frozen=True)
class Seen:
    """Mean probabilities under one model, in [0, 1].

    ``forget``: the forget answers. ``kept``: by name, sets of rows to keep.
    """

    forget: float
    kept: Mapping[str, float]


@dataclass(frozen=True)
class Floor:
    """Bounds of the floor under the original, each None if there are no such rows.

    ``mismatched``, from below: forget answers after the question of any other group; neither the
    form nor the names fit. From above: ``holdout``, rows that no model saw, or in their place
    ``nearest``, forget answers after the most similar question of another group, where the form
    fits and the fact does not.
    """

    mismatched: float | None = None
    nearest: float | None = None
    holdout: float | None = None

    @property
    def upper(self) -> float | None:
        return self.nearest if self.holdout is None else self.holdout

    @property
    def value(self) -> float:
        """The geometric mean of the two bounds, the middle between probabilities; the one that
        there is; 0 without any.

        >>> Floor(0.04, holdout=0.36).value
        0.12
        """
        found = [p for p in (self.mismatched, self.upper) if p is not None]
        if len(found) == 2:
            return math.sqrt(math.prod(found))
        return sum(found)

    @property
    def words(self) -> str:
        """Where the value is from."""
        said = []
        if self.mismatched is not None:
            said.append(f"{self.mismatched:.3f} for forget answers after other rows' questions")
        if self.holdout is not None:
            said.append(f"{self.holdout:.3f} for holdout rows")
        elif self.nearest is not None:
            said.append(f"{self.nearest:.3f} for forget answers after the most similar questions")
        if not said:
            return (
                "the floor is 0, since texts have no questions to exchange; give --holdout for "
                "a better one"
            )
        better = "" if self.holdout is not None else "; give --holdout for a better one"
        if len(said) == 2:
            mean = ", the geometric mean of what the original gives: "
        else:
            mean = ", what the original gives: "
        return f"the floor is {self.value:.3f}{mean}{' and '.join(said)}{better}"


@dataclass(frozen=True)
class Score:
    """``value`` in [0, 1], the harmonic mean of ``forgetting`` and ``utility``; ``kept``: ratio by
    set.
    """

    value: float
    forgetting: float
    utility: float
    kept: Mapping[str, float]

    def as_json(self) -> dict[str, Any]:
        """Rounded, for choice.json."""
        kept = {name: round(ratio, 4) for name, ratio in self.kept.items()}
        return {
            "forgetting": round(self.forgetting, 4),
            "utility": round(self.utility, 4),
            "kept": kept,
        }


def score(before: Seen, after: Seen, floor: float) -> Score:
    """Harmonic mean of F and U, ``before`` being the original.

    F = 1 - |p_forget - floor| / (p_forget_original - floor), at least 0. Below the floor costs as
    much as above it: answers that are less likely than unknown ones betray what was deleted, and it
    is a small cost, since the floor is low. U = mean over the kept sets of p / p_original, each at
    most 1. An original that does not know the forget rows (at or below the floor) leaves nothing to
    forget: F = 1.
    """
    room = before.forget - floor
    if room > 0:
        forgetting = max(0.0, 1 - abs(after.forget - floor) / room)
    else:
        forgetting = 1.0
    kept = {}
    for name, p in before.kept.items():
        if name in after.kept:
            kept[name] = min(1.0, after.kept[name] / p) if p > 0 else 1.0
    utility = fmean(kept.values()) if kept else 1.0
    if forgetting + utility:
        value = 2 * forgetting * utility / (forgetting + utility)
    else:
        value = 0.0
    return Score(value, forgetting, utility, kept)
