"""Lines over steps: panels below one another or in a grid."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from expunge.core.escape import escaped
from expunge.report.plots.canvas import (
    MUTED,
    POINTS_PER_INCH,
    SMALL,
    TEXT_SIZE,
    Box,
    axes_at,
    canvas,
    limits,
    set_limits,
    spread,
    text_width,
    to_svg,
)
from expunge.report.plots.marks import (
    GOLD_LINE,
    Key,
    Range,
    Style,
    draw_key,
    draw_marker,
    key_height,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Line:
    """Values over steps.

    ``ranges``: an interval for each value, or none at all. ``label`` stands at the end of the line.
    """

    x: Sequence[float]
    y: Sequence[float]
    style: Style
    ranges: Sequence[Range] = ()
    label: str = ""
    width: float = 2.0
    markers: float = 0.0  # their size; 0 draws none


@dataclass(frozen=True)
class LinePanel:
    """Axes of a line chart.

    ``x_ticks``: values and words; ``level``: gold's; ``dividers``: where a stage begins, and its
    name.
    """

    title: str
    lines: Sequence[Line]
    x_title: str = ""
    x_limits: Range = (0.0, 1.0)
    x_ticks: Sequence[tuple[float, str]] | None = None
    share: bool = True
    level: float | None = None
    dividers: Sequence[tuple[float, str]] = ()
    y_ticks: int = 5
    bold_title: bool = False


def draw_lines(figure: Figure, panel: LinePanel, frame: Box) -> None:
    """Draw a panel whose axes lie at ``frame`` (left, top, right, bottom)."""
    axes = axes_at(figure, *frame)
    set_limits(axes, panel.x_limits, limits(_values(panel), panel.share), panel.y_ticks)
    axes.grid(False, axis="x")
    weight = "bold" if panel.bold_title else "normal"
    left = -min(40.0, frame[0] - 2) / (frame[2] - frame[0])
    axes.set_title(
        escaped(panel.title), loc="left", x=left, fontsize=TEXT_SIZE, weight=weight, pad=8
    )
    axes.set_xlabel(escaped(panel.x_title))
    if panel.x_ticks is not None:
        axes.set_xticks(
            [at for at, _ in panel.x_ticks], [escaped(words) for _, words in panel.x_ticks]
        )
    if panel.level is not None:
        axes.axhline(panel.level, zorder=1.5, **GOLD_LINE)
    for at, _ in panel.dividers:
        axes.axvline(at, color=MUTED, linewidth=1.0, dashes=(2, 3))
    for line in panel.lines:
        _draw_line(axes, line)
    _label_ends(axes, [line for line in panel.lines if line.label])


def _values(panel: LinePanel) -> list[float]:
    """All that the y axis must hold."""
    values = [panel.level] if panel.level is not None else []
    for line in panel.lines:
        values += line.y
        for ends in line.ranges:
            values += ends
    return values


def _draw_line(axes: Axes, line: Line) -> None:
    dashes = (0, line.style.dashes) if line.style.dashes else "-"
    axes.plot(
        line.x, line.y, color=line.style.color, linestyle=dashes, linewidth=line.width, zorder=2
    )
    for x, ends in zip(line.x, line.ranges, strict=False):
        axes.plot([x, x], ends, color=line.style.color, linewidth=1.2, alpha=0.55, zorder=2)
    if line.markers:
        for x, y in zip(line.x, line.y, strict=True):
            draw_marker(axes, x, y, line.style, line.markers)


def _label_ends(axes: Axes, lines: Sequence[Line]) -> None:
    """The names of the lines at their right ends, moved apart where they would overlap."""
    ends = [axes.transData.transform((line.x[-1], line.y[-1])) for line in lines]
    frame = axes.get_window_extent()
    heights = spread([float(y) for _, y in ends], 15.0, frame.y0, frame.y1)
    pointer = {"arrowstyle": "-", "color": MUTED, "linewidth": 0.8, "shrinkA": 1, "shrinkB": 6}
    for line, (x, y), height in zip(lines, ends, heights, strict=True):
        place = (frame.x1 - x + 18, height - y)
        axes.annotate(
            escaped(line.label),
            (line.x[-1], line.y[-1]),
            place,
            textcoords="offset points",
            va="center",
            arrowprops=pointer,
            annotation_clip=False,
        )


def line_chart(
    panels: Sequence[LinePanel], alt: str, width: float = 390.0, height: float = 236.0
) -> Markup:
    """Panels below one another that share the x axis, ``height`` each; the ends of labeled lines
    need room at the right.
    """
    labels = [text_width(line.label) for panel in panels for line in panel.lines if line.label]
    right = width - (max(labels) + 22 if labels else 12)
    staged = any(words for panel in panels for _, words in panel.dividers)
    numbered = panels[-1].x_ticks != ()
    pitch = height + 36.0
    bottom = 26.0 + 18.0 * (staged or numbered)
    with canvas(width, 34.0 + pitch * len(panels) - 36.0 + bottom) as figure:
        for i, panel in enumerate(panels):
            top = 34.0 + pitch * i
            draw_lines(figure, panel, (50.0, top, right, top + height))
        if staged:
            _name_stages(figure, panels[-1])
        return to_svg(figure, alt)


def _name_stages(figure: Figure, panel: LinePanel) -> None:
    """The names of the stages below the last panel, between its dividers."""
    axes = figure.axes[-1]
    axes.xaxis.labelpad = 20.0
    for at, words in panel.dividers:
        axes.annotate(
            escaped(words),
            (at, 0),
            (3, -14),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            size=SMALL,
            color=MUTED,
            annotation_clip=False,
        )


def line_grid(panels: Sequence[LinePanel], key: Key, alt: str, across: int = 3) -> Markup:
    """Panels of equal size side by side, ``across`` in a row, below a key."""
    columns = min(across, max(len(panels), 1))
    width = 360.0 * columns + 20
    height = 210.0
    top = key_height(key, 10.0, width) + 44
    with canvas(width, top + (height + 84) * math.ceil(len(panels) / across)) as figure:
        total = float(figure.get_size_inches()[1] * POINTS_PER_INCH)
        text = axes_at(figure, 0, 0, width, total)
        text.set_axis_off()
        text.set(xlim=(0, width), ylim=(total, 0))
        draw_key(text, key, 10.0, width, 14.0)
        for i, panel in enumerate(panels):
            left = 60.0 + 360 * (i % across)
            high = top + (height + 84) * (i // across)
            draw_lines(figure, panel, (left, high, left + 300, high + height))
        return to_svg(figure, alt)
