"""The report's figures: what forgetting cost, what an attack brought back, how far from gold, how
the losses went.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from expunge.core.results import Measurement
from expunge.report.beside import Beside, digits
from expunge.report.compare import Curve, Judged, bounds, gold_of, has_gold, ordered, scored
from expunge.report.format import NO_GOLD, finite, number, phrase, split_key, spoken, tick
from expunge.report.plots.canvas import MUTED, limits, shortened, text_width
from expunge.report.plots.lines import Line, LinePanel, line_chart
from expunge.report.plots.marks import Style
from expunge.report.plots.rows import Mark, Row, RowPanel, row_chart
from expunge.report.plots.scatter import Plane, Point, scatter_chart

WIDTH = 390.0  # a phone
MOST_POINTS = 160  # of a loss curve
TONES = {"good": "#0a5c3b", "bad": "#a4133c", "warn": "#7a4f00", "": MUTED}
VERDICTS = {
    "equal": "equal",
    "not above": "not worse",
    "not below": "not worse",
    "undecided": "cannot tell",
}
Styles = Mapping[str, Style]


def value_of(m: Measurement) -> float:
    """The value of a measurement that is known to have one."""
    if m.value is None:
        raise ValueError("an unscored measurement has no value")
    return m.value


# ------------------------------------------------------------------ what forgetting cost


def tradeoff(subjects: Sequence[Judged], forget: str, retain: str, styles: Styles) -> Markup | None:
    """Forget against retain: a point with its intervals for each model, dashed lines at gold's
    values.

    Args:
        subjects: The models; those without both values are left out.
        forget: The key of the measurement on the x axis.
        retain: The key of the measurement on the y axis.
        styles: How each model is drawn, by label.

    Returns:
        The figure, or None if no model has both values.
    """
    points, told = [], []
    for s in ordered(subjects):
        f = s.measurements.get(forget)
        r = s.measurements.get(retain)
        if f is None or r is None or f.value is None or r.value is None:
            continue
        style = styles[s.label]
        name = shortened(s.label)
        points.append(Point(f.value, r.value, bounds(f), bounds(r), style, name, color=style.color))
        told.append(f"{s.label}: {number(f.value)} forget, {number(r.value)} retain")
    if not points:
        return None
    xs: list[float] = []
    ys: list[float] = []
    for point in points:
        xs += (point.x, *point.x_range)
        ys += (point.y, *point.y_range)
    wanted = "want: like gold" if has_gold(subjects) else NO_GOLD
    plane = Plane(
        points,
        x_title=f"{phrase(forget)}  ({wanted})",
        y_title=f"{phrase(retain)}  (want: high)",
        x_limits=limits(xs),
        y_limits=limits(ys),
        gold=(gold_of(subjects, forget), gold_of(subjects, retain)),
    )
    return scatter_chart(
        plane, f"{phrase(forget)} against {phrase(retain)}. {'; '.join(told)}.", WIDTH
    )


# ------------------------------------------------------------------ what an attack brought back


def recovery(
    curves: Sequence[Curve], key: str, styles: Styles, golds: Sequence[str]
) -> Markup | None:
    """A line for each attacked model over the strength of the attack, gold dashed and thick, names
    at the ends.

    Args:
        curves: Those of one attack; those without the key or without a numeric strength are left
            out.
        key: The measurement to draw.
        styles: How each model is drawn, by label.
        golds: The labels of gold models.

    Returns:
        The figure, or None if there is nothing to draw.
    """
    lines, told = [], []
    drawn = [c for c in curves if c.numeric and any(map(scored, c.series.get(key, ())))]
    for c in drawn:
        points = [(float(x), m) for x, m in zip(c.x, c.series[key], strict=True) if scored(m)]
        values = [value_of(m) for _, m in points]
        lines.append(
            Line(
                [x for x, _ in points],
                values,
                styles[c.of],
                [bounds(m) for _, m in points],
                shortened(c.of),
                width=3.2 if c.of in golds else 2.0,
                markers=8.0,
            )
        )
        said = [
            f"{number(value)} at {tick(x)}" for (x, _), value in zip(points, values, strict=True)
        ]
        told.append(f"{c.of}: {', '.join(said)}")
    if not lines:
        return None
    steps = sorted({float(x) for line in lines for x in line.x})
    if steps[-1] > steps[0]:
        last = steps[-1]
    else:
        last = steps[0] + 1
    panel = LinePanel(
        phrase(key),
        lines,
        x_title=drawn[0].xlabel,
        x_limits=(steps[0], last),
        x_ticks=_separate(steps, last - steps[0]),
    )
    return line_chart([panel], f"{phrase(key)} over {drawn[0].xlabel}. {'; '.join(told)}.", WIDTH)


def _separate(steps: Sequence[float], length: float) -> list[tuple[float, str]]:
    """Steps to write below the axis: those whose numbers would touch the number before are left
    out.
    """
    kept: list[tuple[float, str]] = []
    for x in steps:
        words = tick(x)
        if not kept or (x - kept[-1][0]) / length * WIDTH * 0.6 > text_width(words) + 8:
            kept.append((x, words))
    return kept


def attack_rows(
    curves: Sequence[Curve], key: str, styles: Styles, golds: Sequence[str]
) -> Markup | None:
    """For an attack whose strength is told in words: under each model a row for each strength;
    dashed where gold is as it is.

    Args:
        curves: Those of one attack; those with a numeric strength are left out.
        key: The measurement to draw.
        styles: How each model is drawn, by label.
        golds: The labels of gold models.

    Returns:
        The figure, or None if there is nothing to draw.
    """
    drawn = [c for c in curves if not c.numeric and any(map(scored, c.series.get(key, ())))]
    if not drawn:
        return None
    drawn.sort(key=lambda c: c.of not in golds)
    rows, told = [], []
    reached: list[float] = []
    gold = None
    for c in drawn:
        rows.append(Row(shortened(c.of), heading=True))
        points = [(str(x), m) for x, m in zip(c.x, c.series[key], strict=True) if scored(m)]
        for i, (x, m) in enumerate(points):
            value = value_of(m)
            if gold is None and c.of in golds:
                gold = value
            mark = Mark(value, *bounds(m), styles[c.of], hollow=i == 0)
            rows.append(Row(shortened(x), [[mark]], number(value), color=MUTED))
            told.append(f"{c.of} {x} {number(value)}")
            reached += (value, *bounds(m))
    panel = RowPanel(phrase(key), limits(reached), gold)
    return row_chart(
        rows, [panel], f"{phrase(key)} under {drawn[0].attack}. {'; '.join(told)}.", WIDTH
    )


# ------------------------------------------------------------------ how far from gold


def differences(shown: Sequence[Judged], keys: Sequence[str], styles: Styles) -> Markup | None:
    """Differences to gold with their intervals over the margins; of one model by role, of several
    by metric.

    Args:
        shown: The models that were compared with gold.
        keys: The metrics to draw, in order; those without a margin are left out.
        styles: How each model is drawn, by label.

    Returns:
        The figure, or None if no metric has a margin.
    """
    alone = len(shown) == 1
    blocks: dict[str, list[Row]] = {}
    told: list[str] = []
    reached: list[float] = []
    for key in keys:
        for s in shown:
            b = s.beside.get(key)
            if b is None or b.margin is None:
                continue
            role, name = split_key(key)
            heading, words = (
                (spoken(role) or "whole model", spoken(name)) if alone else (phrase(key), s.label)
            )
            blocks.setdefault(heading, []).append(
                _difference(b, shortened(words, 22), styles[s.label])
            )
            told.append(f"{s.label}, {phrase(key)}: {digits(b.difference)}, {b.said}")
            reached += (-b.margin, b.margin, b.difference, *(b.interval or ()))
    if not blocks:
        return None
    rows = []
    for heading, found in blocks.items():
        rows += [Row(shortened(heading, 40), heading=True), *found]
    panel = RowPanel("", limits(reached, share=False), 0.0, "gold", x_title="difference to gold")
    alt = f"Difference to gold with 95 % intervals. {'; '.join(told)}."
    return row_chart(rows, [panel], alt, width=440.0)


def _difference(b: Beside, words: str, style: Style) -> Row:
    """One metric: its difference over its margin, hollow where nothing can be told, and the
    verdict.
    """
    low, high = b.interval or (b.difference, b.difference)
    mark = Mark(b.difference, low, high, style, hollow=b.verdict == "undecided")
    verdict = "over-forgotten" if b.flags else VERDICTS.get(b.verdict, "differs")
    return Row(words, [[mark]], verdict, TONES[b.tone], band=b.margin)


# ------------------------------------------------------------------ how the losses went


def losses(log: Sequence[Mapping[str, Any]], style: Style) -> Markup | None:
    """A small panel for each term of the loss over the logged steps, each with its own scale.

    Args:
        log: The lines of log.jsonl.
        style: How the model is drawn.

    Returns:
        The figure, or None if no loss was logged.
    """
    terms = []
    for term in terms_of(log):
        if any(finite(line.get(term)) for line in log):
            terms.append(term)
    if not terms:
        return None
    stages = stages_of(log)
    if len(stages) > 1:
        dividers = [(float(first), name) for name, first, _ in stages]
    else:
        dividers = []
    plain = Style(style.color)
    panels, told = [], []
    for i, term in enumerate(terms):
        lines = []
        for _, first, end in stages:
            points = []
            for k in range(first, end):
                if finite(log[k].get(term)):
                    points.append((float(k), float(log[k][term])))
            thinned = thin(points)
            if thinned:
                lines.append(
                    Line([x for x, _ in thinned], [y for _, y in thinned], plain, width=1.8)
                )
        last = i == len(terms) - 1
        panels.append(
            LinePanel(
                shortened(_term_name(term), 40),
                lines,
                x_title=f"{len(log)} logged steps" if last else "",
                x_limits=(0.0, float(max(len(log) - 1, 1))),
                x_ticks=(),
                share=False,
                dividers=[(at, shortened(name) if last else "") for at, name in dividers],
                y_ticks=3,
            )
        )
        met = [float(line[term]) for line in log if finite(line.get(term))]
        told.append(f"{_term_name(term)} from {number(met[0])} to {number(met[-1])}")
    alt = f"Losses over {len(log)} logged steps: {'; '.join(told)}."
    return line_chart(panels, alt, width=340.0, height=84.0)


def terms_of(log: Sequence[Mapping[str, Any]]) -> list[str]:
    """The logged losses: the terms, with the sum first where there is more than one term."""
    found: dict[str, None] = {}
    for line in log:
        found |= dict.fromkeys(key for key in line if key.startswith("loss/"))
    terms = list(found)
    summed = any("loss" in line for line in log)
    if summed and len(terms) != 1:
        return ["loss", *terms]
    return terms


def thin(
    points: Sequence[tuple[float, float]], most: int = MOST_POINTS
) -> list[tuple[float, float]]:
    """At most ``most`` points: the means of equal runs of steps. What is not finite is left out."""
    kept = [point for point in points if all(map(math.isfinite, point))]
    size = math.ceil(len(kept) / most) or 1
    means = []
    for start in range(0, len(kept), size):
        run = kept[start : start + size]
        means.append((sum(x for x, _ in run) / len(run), sum(y for _, y in run) / len(run)))
    return means


def stages_of(log: Sequence[Mapping[str, Any]]) -> list[tuple[str, int, int]]:
    """(stage, index of its first line, index after its last), in order."""
    found: list[tuple[str, int, int]] = []
    for i, line in enumerate(log):
        name = str(line.get("stage", ""))
        if found and found[-1][0] == name:
            found[-1] = (name, found[-1][1], i + 1)
        else:
            found.append((name, i, i + 1))
    return found


def _term_name(term: str) -> str:
    return "sum of all terms" if term == "loss" else term.removeprefix("loss/")
