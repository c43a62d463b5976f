"""Which of several measurements is best, and what lies beside gold: pure functions that the
terminal and the HTML report share.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from expunge.core.results import EMPTY, Measurement
from expunge.core.units import UNITS
from expunge.report.beside import Beside

Kind = Literal["original", "gold", "unlearned", "attacked"]
START = (0, "as is")  # where a curve's model is as it was
KINDS: tuple[Kind, ...] = ("original", "gold", "unlearned", "attacked")


@dataclass(frozen=True)
class Judged:
    """A model that was measured: its label, what it is, its measurements by key.

    ``attack`` stands on attacked ones: {"name", "args", "steps", "of": label of the model that was
    attacked}. ``beside``: the comparison with gold by key, if gold was given when it was judged.
    ``doubt``: why its numbers are not to be trusted, or ''.
    ``gold_doubt``: why being like its gold says little, or ''.
    """

    label: str
    kind: str = "unlearned"
    measurements: Mapping[str, Measurement] = field(default_factory=lambda: EMPTY)
    attack: Mapping[str, Any] = field(default_factory=lambda: EMPTY)
    beside: Mapping[str, Beside] = field(default_factory=lambda: EMPTY)
    doubt: str = ""
    gold_doubt: str = ""


@dataclass(frozen=True)
class Curve:
    """What an attack of growing strength did to one model: ``series[key][i]`` was measured at
    ``x[i]``.

    ``x`` holds numbers (relearning steps) or words (``as is``, ``8-bit``); ``of`` is the label of
    the model attacked, ``kind`` what that is ("": as the report knows the label). ``arguments``: of
    the attack, the same at every strength; two curves are of one attack only if theirs are equal.
    ``said[i]``: ``x[i]`` in a sentence, without a capital: ``after 20 relearning steps``.
    """

    attack: str
    of: str
    x: tuple[float | str, ...]
    xlabel: str
    series: Mapping[str, tuple[Measurement, ...]]
    doubt: str = ""
    kind: str = ""
    arguments: Mapping[str, Any] = field(default_factory=lambda: EMPTY)
    said: tuple[str, ...] = ()

    @property
    def numeric(self) -> bool:
        """Whether x is a scale and not a list of words."""
        return all(isinstance(x, (int, float)) for x in self.x)

    def same_attack(self, other: Curve) -> bool:
        """Whether another curve is of the same attack, with the same arguments."""
        return self.attack == other.attack and dict(self.arguments) == dict(other.arguments)


def scored(m: Measurement | None) -> bool:
    """Whether there is a value at all."""
    return m is not None and m.value is not None


def bounds(m: Measurement) -> tuple[float, float]:
    """The interval of a scored measurement, or its bare value twice where it has none."""
    if m.value is None:
        raise ValueError("an unscored measurement has no bounds")
    return m.interval or (m.value, m.value)


def gold_value(golds: Iterable[Measurement | None]) -> float | None:
    """The value to be close to: the mean over the golds that have one; None if none has."""
    found = [m.value for m in golds if m is not None and m.value is not None]
    return sum(found) / len(found) if found else None


def distance(m: Measurement | None, gold: float | None = None) -> float | None:
    """How far a measurement is from the best it could be; smaller is better, None if that cannot be
    said.

    ``higher`` counts down, ``lower`` counts up, ``gold`` is the distance to gold's value, a number
    the distance to it.
    """
    if m is None or m.value is None or m.better is None:
        return None
    if m.better == "higher":
        return -m.value
    if m.better == "lower":
        return m.value
    target = gold if m.better == "gold" else float(m.better)
    return None if target is None else abs(m.value - target)


def best(column: Mapping[str, Measurement | None], gold: float | None = None) -> frozenset[str]:
    """The labels whose measurement is best; several if they are equal.

    Empty where nothing can be compared: fewer than two values, ``better="gold"`` without gold, or
    no common ``better``.
    """
    if len({m.better for m in column.values() if m is not None and m.value is not None}) != 1:
        return frozenset()
    far = {label: d for label, m in column.items() if (d := distance(m, gold)) is not None}
    if len(far) < 2:
        return frozenset()
    least = min(far.values())
    return frozenset(label for label, d in far.items() if d - least <= 1e-12)


def best_of_columns(subjects: Sequence[Judged], keys: Iterable[str]) -> dict[str, frozenset[str]]:
    """key -> labels of the best among the unlearned; original, gold and attacked models never
    compete.
    """
    unlearned = [s for s in subjects if s.kind == "unlearned"]
    found = {}
    for key in keys:
        values = {s.label: s.measurements.get(key) for s in unlearned}
        found[key] = best(values, gold_of(subjects, key))
    return found


def gold_of(subjects: Iterable[Judged], key: str) -> float | None:
    """Gold's value of ``key``: the mean if there are several golds."""
    return gold_value(s.measurements.get(key) for s in subjects if s.kind == "gold")


def has_gold(subjects: Iterable[Judged]) -> bool:
    """Whether there is a gold to hold the others against: among them, or beside one of them when it
    was judged.
    """
    return any(s.kind == "gold" or s.beside for s in subjects)


def margin_of(m: Measurement) -> float:
    """The measurement's own margin; that of shares where none was kept (files of older versions,
    whose leading metrics are shares).
    """
    if m.margin is None:
        return float(UNITS["share"].margin or 0.0)
    return m.margin


def against(m: Measurement, gold: float) -> Literal["above", "within", "unclear"]:
    """Is a value larger than gold's by more than its margin?

    ``above`` and ``within`` only if the whole interval says so.
    """
    (lo, hi), most = bounds(m), gold + margin_of(m)
    return "above" if lo > most else "within" if hi <= most else "unclear"


def ordered(subjects: Iterable[Judged]) -> list[Judged]:
    """Original, gold, then unlearned models in their order; attacked ones are only in curves."""
    subjects = list(subjects)
    return [s for kind in ("original", "gold", "unlearned") for s in subjects if s.kind == kind]


def attack_step(attack: Mapping[str, Any]) -> float | str:
    """Where on the x axis of its curve an attacked model stands: its steps, its bits, or its
    arguments in words.
    """
    args = attack.get("args")
    steps = attack.get("steps")
    args = args if isinstance(args, Mapping) else {}
    if isinstance(steps, (int, float)):
        return float(steps)
    if "bits" in args:
        return f"{args['bits']}-bit"
    return ", ".join(f"{k} {v}" for k, v in sorted(args.items())) or str(
        attack.get("name", "attacked")
    )


def curves_of(subjects: Sequence[Judged]) -> list[Curve]:
    """Attacked models gathered into one curve per attack and model attacked; the first point is the
    model as it is.
    """
    plain = {s.label: s for s in subjects if s.kind != "attacked"}
    met: dict[tuple[str, str], dict[float | str, Judged]] = {}
    for s in subjects:
        if s.kind == "attacked":
            met.setdefault((str(s.attack.get("name", "attack")), str(s.attack.get("of", ""))), {})[
                attack_step(s.attack)
            ] = s
    found = []
    for (name, of), at in met.items():
        steps = all(isinstance(x, float) for x in at)
        if of in plain:
            at.setdefault(0.0 if steps else "as is", plain[of])
        xs = tuple(sorted(at, key=_strength))
        series = {}
        for k in at[xs[0]].measurements:
            if all(k in at[x].measurements for x in xs):
                series[k] = tuple(at[x].measurements[k] for x in xs)
        label = f"{name} steps" if steps else name
        doubt = next((at[x].doubt for x in xs if at[x].doubt), "")
        found.append(Curve(name, of, xs, label, series, doubt))
    return found


def as_judged(curves: Sequence[Curve], known: Iterable[str]) -> list[Judged]:
    """The models of curves that were not measured elsewhere (``known``: labels of those that were),
    as they were before the attack.
    """
    found: dict[str, Judged] = {}
    seen = set(known)
    for c in curves:
        if c.kind and c.of not in seen and c.x[:1] and c.x[0] in START:
            if c.of in found:
                before = dict(found[c.of].measurements)
            else:
                before = {}
            at_start = {key: points[0] for key, points in c.series.items()}
            found[c.of] = Judged(c.of, c.kind, {**before, **at_start}, doubt=c.doubt)
    return list(found.values())


def _strength(x: float | str) -> tuple[int, float, str]:
    """Numbers upwards; words after them: the model as it is first, fewer bits later, the rest by
    name.
    """
    if isinstance(x, float):
        return (0, x, "")
    bits = x.removesuffix("-bit")
    if x == "as is":
        return (0, 0.0, "")
    if bits != x and bits.isdigit():
        return (1, -float(bits), "")
    return (2, 0.0, x)
