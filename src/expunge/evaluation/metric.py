"""Which passes a set of metrics needs, and the metrics' verdict on their records."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from inspect import signature
from typing import Any

import numpy as np

from expunge.core.card import Card
from expunge.core.results import EMPTY, Measurement, Records, unscored
from expunge.core.units import UNITS, Unit
from expunge.evaluation.needs import check_needs, want_of
from expunge.evaluation.observations.base import Want
from expunge.evaluation.observations.plain_text import as_asked, lengths, too_short
from expunge.scoring.bootstrap import constant_interval, mean_interval
from expunge.scoring.prefixes import REPORTED, TOO_SHORT

READS_SAID = frozenset({"generation", "sampling"})  # needs of metrics that read what a model says


@dataclass(frozen=True)
class Judge:
    """A metric made ready for a benchmark: the function, its card, the role it looks at (None: the
    whole model) and its arguments.
    """

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

    @property
    def unit(self) -> Unit:
        """The range and the margin of its values, with the scale that it was given."""
        return UNITS[self.card.unit].times(float(self.settings.get("scale", 1.0)))

    @property
    def settings(self) -> dict[str, Any]:
        """Its arguments, with the defaults of those that are not given."""
        own = {
            n: p.default
            for n, p in signature(self.fn).parameters.items()
            if p.kind is p.KEYWORD_ONLY
        }
        return own | dict(self.arguments)

    def __call__(self, records: Records, gold: Records | None) -> Measurement:
        if gold is not None and "others" not in self.card.needs:
            golds = [s for s in gold.subjects() if s != "original" and not s.startswith("shadow/")]
            # the first of several; never the original
            gold = gold.only(golds[0]) if golds else gold if not len(gold) else None
        if READS_SAID & set(self.card.needs):
            found = self._of(as_asked(records), as_asked(gold) if gold is not None else None)
            found = self._by_length(records, found) if self.role else found
        else:
            found = self._of(records, gold)
        return in_range(replace(found, margin=self.unit.margin), self.unit)

    def _of(self, records: Records, gold: Records | None) -> Measurement:
        first = gold if self.role is None else self.role
        found: Measurement = self.fn(records, first, **self.arguments)
        return found

    def _by_length(self, records: Records, found: Measurement) -> Measurement:
        """Of plain texts: the value at every share that was given, in the parts; or that they are
        too short.
        """
        role = self.role or ""
        short, every = too_short(records, role), sum(r.prefix is not None for r in records.of(role))
        if every and short == every:
            return unscored(f"all {every} texts of role {role} have {TOO_SHORT}", found.better)
        if not every or found.value is None:
            return found
        parts = {f"prefix/{REPORTED}": found.value}
        for name in lengths(records)[1:]:
            other = self._of(as_asked(records, name), None)
            parts |= {} if other.value is None else {f"prefix/{name}": other.value}
        given = [r.prefix for r in records.of(role) if r.prefix]
        parts |= {"prefix_tokens": sum(given) / len(given), "too_short": float(short)}
        return replace(found, parts={**found.parts, **parts})


def in_range(m: Measurement, unit: Unit) -> Measurement:
    """A measurement whose interval knows the range of its values.

    That of a mean over rows is made anew from its rows, within the range; any other is cut at the
    range's ends. Where nothing varied it is the exact bound of as many groups as there are; without
    a range there is none then, for nobody knows how far the next row may lie.
    """
    if m.value is None or m.interval is None:
        return m
    (lo, hi), (low, high) = m.interval, (unit.low, unit.high)
    if len({role for role, _ in m.each}) == 1 and low is not None and high is not None:
        x, labels = (
            np.array([v for v, _ in m.each.values()]),
            [group for _, group in m.each.values()],
        )
        if np.isclose(x.mean(), m.value) and low <= x.min() and x.max() <= high:
            return replace(m, interval=mean_interval(x, labels, low=low, high=high))
    if lo == hi:
        known = low is not None and high is not None
        exact = (
            constant_interval(m.value, m.fewest or m.groups, low or 0.0, high or 0.0)
            if known
            else None
        )
        return replace(m, interval=exact)
    cut = (lo if low is None else max(lo, low), hi if high is None else min(hi, high))
    return replace(m, interval=(min(cut[0], m.value), max(cut[1], m.value)))


def wants_of(
    judges: Sequence[Judge], present: Sequence[str], generate: Mapping[str, Any] = EMPTY
) -> dict[str, Want]:
    """role -> what all metrics together need of it, each pass once; only roles that the case has.

    ``generate``: see Benchmark.
    """
    wants: dict[str, Want] = {}
    for judge in judges:
        check_needs(judge.name, judge.card)
        for role in judge.roles:
            if role in present:
                own = want_of(judge.card, judge.settings)
                wants[role] = wants[role] | own if role in wants else own
    own_tokens, cut = generate.get("roles", {}), generate.get("cut", ())
    return {
        role: replace(w, tokens=own_tokens.get(role, 0), cut=role in cut)
        for role, w in wants.items()
    }


def judged(
    judges: Sequence[Judge], records: Records, gold: Records | None
) -> dict[str, Measurement]:
    """Every metric's Measurement by key, in order."""
    return {j.key: j(records, gold) for j in judges}
