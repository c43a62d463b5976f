"""Points on a plane: one value against another, a point for each model."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from expunge.core.escape import escaped
from expunge.report.plots.canvas import (
    INK,
    MUTED,
    SMALL,
    TEXT_SIZE,
    Box,
    axes_at,
    canvas,
    set_limits,
    shortened,
    text_width,
    to_svg,
)
from expunge.report.plots.marks import GOLD_LINE, Range, Style, draw_marker

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Point:
    """A model on a plane, with its intervals.

    ``label`` may be empty; ``bold`` and ``color`` are those of the label.
    """

    x: float
    y: float
    x_range: Range
    y_range: Range
    style: Style
    label: str = ""
    size: float = 12.0
    bold: bool = False
    color: str = INK


@dataclass(frozen=True)
class Plane:
    """Axes of a scatter chart.

    ``gold``: where its dashed lines stand. ``window``: what another plane shows enlarged.
    """

    points: Sequence[Point]
    x_title: str
    y_title: str
    x_limits: Range
    y_limits: Range
    gold: tuple[float | None, float | None] = (None, None)
    window: Box | None = None


def draw_plane(figure: Figure, plane: Plane, frame: Box, reach: float = 260.0) -> None:
    """Draw a plane whose axes lie at ``frame`` (left, top, right, bottom); labels stand at most
    ``reach`` from their points.
    """
    axes = axes_at(figure, *frame)
    set_limits(axes, plane.x_limits, plane.y_limits)
    axes.set_xlabel(escaped(plane.x_title))
    axes.set_title(
        escaped(plane.y_title), loc="left", x=-40 / (frame[2] - frame[0]), fontsize=TEXT_SIZE, pad=8
    )
    taken: list[Box] = []
    if plane.gold[0] is not None:
        axes.axvline(plane.gold[0], zorder=1.5, **GOLD_LINE)
    if plane.gold[1] is not None:
        axes.axhline(plane.gold[1], zorder=1.5, **GOLD_LINE)
    if plane.window:
        taken.append(_draw_window(axes, plane.window))
    for point in plane.points:
        look: dict[str, Any] = {
            "color": point.style.color,
            "linewidth": 1.4,
            "alpha": 0.6,
            "zorder": 3,
        }
        axes.plot(_inside(point.x_range, plane.x_limits), [point.y, point.y], **look)
        axes.plot([point.x, point.x], _inside(point.y_range, plane.y_limits), **look)
        draw_marker(axes, point.x, point.y, point.style, point.size)
        taken.append(_around(axes, point))
    for point in sorted(plane.points, key=lambda p: not p.bold):
        if point.label:
            _place_label(axes, point, taken, plane.points, reach)


def _inside(ends: Range, edges: Range) -> list[float]:
    return [min(max(end, edges[0]), edges[1]) for end in ends]


def _around(axes: Axes, point: Point) -> Box:
    x, y = axes.transData.transform((point.x, point.y))
    r = point.size / 2 + 2
    return (x - r, y - r, x + r, y + r)


def _draw_window(axes: Axes, window: Box) -> Box:
    """A dotted frame around what another plane shows; returns the space that it takes."""
    from matplotlib.patches import Rectangle

    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    x0 = max(window[0], left)
    x1 = min(window[2], right)
    y0 = max(window[1], low)
    y1 = min(window[3], high)
    frame = Rectangle(
        (x0, y0), x1 - x0, y1 - y0, fill=False, edgecolor=MUTED, linestyle=(0, (2, 3))
    )
    axes.add_patch(frame)
    axes.annotate(
        "drawn below",
        (x1, y0),
        (-4, 5),
        textcoords="offset points",
        ha="right",
        size=SMALL,
        color=MUTED,
    )
    corners = [axes.transData.transform(corner) for corner in ((x0, y0), (x1, y1))]
    return (corners[0][0], corners[0][1], corners[1][0], corners[1][1])


def _place_label(
    axes: Axes, point: Point, taken: list[Box], points: Sequence[Point], reach: float
) -> None:
    """Write a label as near to its point as it can be without covering anything.

    A place that is nearer to another point is taken only if there is no other; a line ties a label
    to its point if it is far or stands nearer to another point.
    """
    width = text_width(point.label, SMALL, point.bold) + 4
    height = SMALL + 2
    here = axes.transData.transform((point.x, point.y))
    others = [
        axes.transData.transform((other.x, other.y)) for other in points if other is not point
    ]
    fallback: tuple[float, float, Box] | None = None
    for dx, dy in _outwards(width, point.size / 2 + 6, reach):
        box = _box(here[0] + dx, here[1] + dy, width, height)
        if not _inside_frame(axes, box) or any(_overlap(box, other) for other in taken):
            continue
        if all(_distance(box, *here) <= _distance(box, *other) for other in others):
            _write_label(axes, point, (dx, dy), _distance(box, *here) > point.size / 2 + 14)
            taken.append(box)
            return
        fallback = fallback or (dx, dy, box)
    if fallback:
        _write_label(axes, point, fallback[:2], tied=True)
        taken.append(fallback[2])


def _write_label(axes: Axes, point: Point, offset: tuple[float, float], tied: bool) -> None:
    if tied:
        line = {"arrowstyle": "-", "color": MUTED, "linewidth": 0.7, "shrinkA": 1, "shrinkB": 0}
    else:
        line = None
    look: dict[str, Any] = {
        "size": SMALL,
        "color": point.color,
        "weight": "bold" if point.bold else "normal",
    }
    look |= {"ha": "center", "va": "center", "zorder": 5, "arrowprops": line}
    axes.annotate(
        escaped(point.label), (point.x, point.y), offset, textcoords="offset points", **look
    )


def _box(x: float, y: float, width: float, height: float) -> Box:
    return (x - width / 2, y - height / 2, x + width / 2, y + height / 2)


def _inside_frame(axes: Axes, box: Box) -> bool:
    frame = axes.get_window_extent()
    across = frame.x0 + 2 <= box[0] and box[2] <= frame.x1 + 8
    return bool(across and frame.y0 + 2 <= box[1] and box[3] <= frame.y1 + 4)


def _distance(box: Box, x: float, y: float) -> float:
    """From a point to the nearest edge of a box."""
    return math.hypot(max(box[0] - x, 0.0, x - box[2]), max(box[1] - y, 0.0, y - box[3]))


def _overlap(one: Box, other: Box) -> bool:
    return one[0] <= other[2] and other[0] <= one[2] and one[1] <= other[3] and other[1] <= one[3]


def _outwards(width: float, start: float, reach: float) -> Iterator[tuple[float, float]]:
    """Offsets of the middle of a label from its point, near ones first, to the right first."""
    distance = start
    while distance <= reach:
        steps = max(8, int(distance) // 3)
        for k in range(steps):
            angle = 2 * math.pi * k / steps
            yield math.cos(angle) * (distance + width / 2 - 2), math.sin(angle) * distance
        distance += 6.0


def scatter_chart(plane: Plane, alt: str, width: float = 390.0) -> Markup:
    """One plane with named points; where there is no room for a name it is left out, and the key of
    the page tells it.
    """
    height = width * 0.98
    with canvas(width, height) as figure:
        draw_plane(figure, plane, (46.0, 34.0, width - 12, height - 44), reach=80.0)
        return to_svg(figure, alt)


@dataclass(frozen=True)
class Entry:
    """A line of the list beside a numbered chart."""

    name: str
    color: str = INK
    bold: bool = False


def numbered_chart(planes: Sequence[Plane], entries: Sequence[Entry], alt: str) -> Markup:
    """One or two planes below one another, and at their right the names that the numbers beside the
    points stand for.
    """
    double = len(planes) > 1
    most = 50 if double else 26  # entries in a column
    width = 640.0 + 170.0 * max(1, math.ceil(len(entries) / most))
    if double:
        frames = [(46.0, 34.0, 600.0, 330.0), (46.0, 424.0, 600.0, 880.0)]
    else:
        frames = [(46.0, 34.0, 600.0, 470.0)]
    height = 930.0 if double else 520.0
    with canvas(width, height) as figure:
        text = axes_at(figure, 0, 0, width, height)
        text.set_axis_off()
        text.set(xlim=(0, width), ylim=(height, 0))
        text.text(636, 20, "best quality first", size=SMALL, color=MUTED)
        for i, entry in enumerate(entries):
            left = 636 + 170.0 * (i // most)
            y = 42 + 17.5 * (i % most)
            weight = "bold" if entry.bold else "normal"
            text.text(left + 18, y, str(i + 1), size=SMALL, ha="right", color=MUTED)
            text.text(
                left + 25,
                y,
                shortened(entry.name, 20),
                size=SMALL,
                color=entry.color,
                weight=weight,
            )
        for plane, frame in zip(planes, frames, strict=True):
            draw_plane(figure, plane, frame)
        return to_svg(figure, alt)
