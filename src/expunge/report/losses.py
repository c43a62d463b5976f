"""Loss curves by term: thinned, one small panel per term, with lines where a stage ends."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from expunge.report.format import finite, number
from expunge.report.svg import FAINT, INK, MUTED, Scale, Style, drawing, fitted, label, line, path

WIDTH, POINTS = 340.0, 160


def terms_of(log: Sequence[Mapping[str, Any]]) -> list[str]:
    """The logged losses: the terms, with the sum first where there is more than one term."""
    terms = list(dict.fromkeys(k for row in log for k in row if k.startswith("loss/")))
    return terms if len(terms) == 1 else (["loss"] if any("loss" in row for row in log) else []) + terms


def thin(points: Sequence[tuple[float, float]], most: int = POINTS) -> list[tuple[float, float]]:
    """At most ``most`` points: the means of equal runs of steps. What is not finite is left out."""
    points = [p for p in points if all(map(math.isfinite, p))]
    size = -(-len(points) // most) if points else 1
    runs = [points[i : i + size] for i in range(0, len(points), size)]
    return [(sum(p[0] for p in run) / len(run), sum(p[1] for p in run) / len(run)) for run in runs]


def stages_of(log: Sequence[Mapping[str, Any]]) -> list[tuple[str, int, int]]:
    """(stage, index of its first line, index after its last), in order."""
    found: list[tuple[str, int, int]] = []
    for i, row in enumerate(log):
        name = str(row.get("stage", ""))
        if found and found[-1][0] == name:
            found[-1] = (name, found[-1][1], i + 1)
        else:
            found.append((name, i, i + 1))
    return found


def losses(log: Sequence[Mapping[str, Any]], style: Style) -> Markup | None:
    """One panel per term over the logged steps, each with its own scale. None if no loss was logged."""
    terms = [t for t in terms_of(log) if any(finite(row.get(t)) for row in log)]
    if not terms:
        return None
    parts, told, top = [], [], 26.0
    stages = stages_of(log)
    x = Scale(0.0, float(max(len(log) - 1, 1)), 58.0, WIDTH - 12)
    for term in terms:
        runs = [thin([(float(i), float(log[i][term])) for i in range(a, b) if finite(log[i].get(term))]) for _, a, b in stages]
        y = fitted([v for run in runs for _, v in run], top + 84, top, unit=False)
        parts += _frame(term, x, y)
        parts += [path(run, Style(style.colour, style.marker), 1.8) for run in ([(x(i), y(v)) for i, v in run] for run in runs) if run]
        met = [float(row[term]) for row in log if finite(row.get(term))]
        told.append(f"{_name(term)} from {number(met[0])} to {number(met[-1])}")
        top += 122
    base = top - 38
    for name, a, _ in stages if len(stages) > 1 else []:
        parts += [line(x(a), 26.0, x(a), base, MUTED, 1.0, "2 3")] if a else []
        parts.append(label(x(a) + 3, base + 14, name, fill=MUTED, size=12.0))
    parts.append(label((x.a + x.b) / 2, base + (32 if len(stages) > 1 else 18), f"{len(log)} logged steps", "middle", 12.5, MUTED))
    return drawing(WIDTH, base + (40 if len(stages) > 1 else 26), f"Losses over {len(log)} logged steps: {'; '.join(told)}.", parts)


def _name(term: str) -> str:
    return "sum of all terms" if term == "loss" else term.removeprefix("loss/")


def _frame(term: str, x: Scale, y: Scale) -> list[Markup]:
    parts = [label(x.a, y.b - 8, _name(term), fill=INK, size=13.0), line(x.a, y.a, x.b, y.a, MUTED)]
    for v in y.ticks(3):
        parts += [line(x.a, y(v), x.b, y(v), FAINT), label(x.a - 7, y(v) + 4.5, f"{v:g}", "end", 12.0, MUTED)]
    return parts
