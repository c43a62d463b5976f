"""The tables of the HTML report as plain data: what stands in which cell, who is best, why a cell
is empty.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from expunge.core.results import Measurement
from expunge.report.compare import (
    Curve,
    Judged,
    against,
    best_of_columns,
    has_gold,
    ordered,
    scored,
)
from expunge.report.findings import gold_at
from expunge.report.format import goal, interval, phrase, split_key, spoken, tick, value


@dataclass(frozen=True)
class Cell:
    """Text of one cell; ``note`` is the number of the reason below the table; ``size`` is there if
    it differs from the column's.
    """

    text: str
    interval: str = ""
    size: str = ""
    best: bool = False
    back: bool = False
    note: int = 0


@dataclass(frozen=True)
class Line:
    """A row: a model and its cells."""

    label: str
    kind: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Sheet:
    """A table: titles with what lies under them, rows, and the numbered reasons of what is
    unscored.
    """

    title: str
    heads: tuple[tuple[str, str, str], ...]  # name, which way is better, n and groups
    lines: tuple[Line, ...]
    reasons: tuple[str, ...] = ()


@dataclass
class Reasons:
    """Numbers reasons in order of appearance; the same reason has one number."""

    met: dict[str, int] = field(default_factory=dict)

    def note(self, key: str, m: Measurement | None) -> int:
        """The number of the reason why there is no value, or of the note that must be read beside
        it; 0 if there is none.
        """
        if m is not None and scored(m):
            if not m.note:
                return 0
            words = f"{phrase(key)}: {m.note}"
        else:
            words = (
                f"{phrase(key)}: {'not measured' if m is None else m.reason or 'no reason given'}"
            )
        return self.met.setdefault(words, len(self.met) + 1)


def sheets(subjects: Sequence[Judged]) -> list[Sheet]:
    """One table per role, forget and retain first, whole-model numbers last; rows are original,
    gold, unlearned.
    """
    shown = ordered(subjects)
    keys = list(dict.fromkeys(k for s in shown for k in s.measurements))
    roles = sorted({split_key(k)[0] for k in keys}, key=role_rank)
    found = []
    for role in roles:
        own = [k for k in keys if split_key(k)[0] == role]
        found.append(_sheet(role, own, shown))
    return found


def role_rank(role: str) -> tuple[int, str]:
    """The order of roles: forget and retain first, the whole model last."""
    known = ("forget", "retain", "neighbour", "holdout")
    if not role:
        return (len(known) + 1, "")
    return (known.index(role) if role in known else len(known), role)


def _sheet(role: str, keys: Sequence[str], shown: Sequence[Judged]) -> Sheet:
    winners = best_of_columns(shown, keys)
    reasons = Reasons()
    sizes = {}
    for k in keys:
        measured = [s.measurements.get(k) for s in shown]
        sizes[k] = _common([size(m) for m in measured if m is not None and scored(m)])
    heads = tuple((spoken(split_key(k)[1]), _goal(k, shown), sizes[k]) for k in keys)
    lines = []
    for s in shown:
        cells = []
        for k in keys:
            m = s.measurements.get(k)
            if m is not None and scored(m) and not sizes[k]:
                own = size(m)
            else:
                own = ""
            if m is not None and scored(m):
                ends = interval(m, 3)
            else:
                ends = ""
            cells.append(
                Cell(value(m, 3), ends, own, s.label in winners[k], note=reasons.note(k, m))
            )
        lines.append(Line(s.label, s.kind, tuple(cells)))
    return Sheet(spoken(role) or "whole model", heads, tuple(lines), tuple(reasons.met))


def _goal(key: str, shown: Sequence[Judged]) -> str:
    better = next(
        (
            m.better
            for s in shown
            if (m := s.measurements.get(key)) is not None and m.better is not None
        ),
        None,
    )
    return goal(better, has_gold(shown))


def size(m: Measurement) -> str:
    """``n 400, 20 groups``; what is not known is left out."""
    return ", ".join(([f"n {m.n}"] if m.n else []) + ([f"{m.groups} groups"] if m.groups else []))


def _common(sizes: Sequence[str]) -> str:
    return sizes[0] if len(set(sizes)) == 1 else ""


def curve_sheet(
    curves: Sequence[Curve], key: str, subjects: Sequence[Judged], every: Sequence[Curve]
) -> Sheet:
    """An attack as a table: one row per model attacked (gold first), one column per point.

    ``back`` marks what is above gold at the same point, interval and all.
    """
    golds = {s.label for s in subjects if s.kind == "gold"}
    drawn = sorted((c for c in curves if key in c.series), key=lambda c: c.of not in golds)
    xs = list(dict.fromkeys(x for c in drawn for x in c.x))
    all_sizes = _common([size(m) for c in drawn for m in c.series[key] if scored(m)])
    reasons, lines = Reasons(), []
    for c in drawn:
        at = dict(zip(c.x, c.series[key], strict=True))
        cells = tuple(
            _point(
                at.get(x),
                key,
                gold_at(c, key, x, subjects, every),
                c.of in golds,
                reasons,
                not all_sizes,
            )
            for x in xs
        )
        lines.append(Line(c.of, "gold" if c.of in golds else "unlearned", cells))
    heads = tuple((tick(x), "", "") for x in xs)
    title = ", ".join(filter(None, [phrase(key), drawn[0].xlabel if drawn else "", all_sizes]))
    return Sheet(title, heads, tuple(lines), tuple(reasons.met))


def _point(
    m: Measurement | None,
    key: str,
    gold: float | None,
    is_gold: bool,
    reasons: Reasons,
    sized: bool,
) -> Cell:
    if m is None or m.value is None:
        return Cell(value(m), note=reasons.note(key, m))
    back = (
        not is_gold
        and key.startswith("forget/")
        and gold is not None
        and against(m, gold) == "above"
    )
    return Cell(value(m), interval(m), size(m) if sized else "", back=back)
