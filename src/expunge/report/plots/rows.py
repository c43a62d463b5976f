"""Rows of intervals: a line for each metric, model or method over one or more scales."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from expunge.core.escape import escaped
from expunge.report.plots.canvas import (
    GOLD_COLOR,
    INK,
    MUTED,
    PAPER,
    SMALL,
    TEXT_SIZE,
    axes_at,
    canvas,
    set_limits,
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


@dataclass(frozen=True)
class Mark:
    """A value with its interval in a row; without one ``low`` and ``high`` are the value."""

    value: float
    low: float
    high: float
    style: Style
    hollow: bool = False


@dataclass(frozen=True)
class Row:
    """A line of a row chart: its name, for each panel its marks, and what stands at the right; a
    heading has no marks.

    ``band``: half the width of what is shaded around 0. ``number``: what stands before the name.
    ``joined``: whether a line joins the marks of a panel.
    """

    label: str
    marks: Sequence[Sequence[Mark]] = ()
    note: str = ""
    note_color: str = INK
    color: str = INK
    band: float | None = None
    number: str = ""
    heading: bool = False
    joined: bool = False


@dataclass(frozen=True)
class RowPanel:
    """A scale of a row chart.

    ``gold``: where its dashed line stands; ``share``: how wide, beside the other panels.
    """

    title: str
    limits: Range
    gold: float | None = None
    gold_label: str = ""
    x_title: str = ""
    share: float = 1.0


def row_chart(
    rows: Sequence[Row],
    panels: Sequence[RowPanel],
    alt: str,
    width: float = 390.0,
    key: Key | None = None,
    note_title: str = "",
) -> Markup:
    """A line for each row over one or more scales side by side.

    Args:
        rows: From top to bottom.
        panels: From left to right; each row has marks for each of them.
        alt: What is read aloud instead of the drawing.
        width: Of the whole, names and notes included.
        key: Words beside markers above the rows; words without a style stand alone.
        note_title: Heading of the notes at the right.

    Returns:
        The svg element.
    """
    size = TEXT_SIZE if width < 600 else SMALL
    indent = max([text_width(row.number, size) + 6 for row in rows if row.number] or [14.0])
    names = [text_width(r.label, size, r.heading) for r in rows if not r.heading]
    notes = [text_width(r.note, size) for r in rows] + [text_width(note_title, size, True)]
    left = indent + max(names, default=0.0) + 16
    right = width - max(notes) - (8 if max(notes) else 14)
    titled = any(panel.x_title for panel in panels)
    heights = [26.0 if row.heading else 18.0 for row in rows]
    key = key or {}
    top = 26.0 + key_height(key, left, width)
    height = sum(heights)
    with canvas(width, top + height + (48 if titled else 28)) as figure:
        text = axes_at(figure, 0, top, width, top + height)
        text.set_axis_off()
        text.set_zorder(2)  # headings may reach over the scales
        text.set(xlim=(0, width), ylim=(height, 0))
        _draw_names(text, rows, heights, indent, size)
        text.text(width - 2, -9, note_title, size=size, ha="right", weight="bold")
        edges = _edges(left, right, panels)
        for i, (panel, (start, end)) in enumerate(zip(panels, edges, strict=True)):
            axes = axes_at(figure, start, top, end, top + height)
            marks = [row.marks[i] if row.marks else () for row in rows]
            _draw_panel(axes, panel, rows, marks, heights)
        draw_key(text, key, left, width, 12 - top)
        return to_svg(figure, alt)


def _edges(left: float, right: float, panels: Sequence[RowPanel]) -> list[Range]:
    """Left and right of each panel, 40 apart."""
    unit = (right - left - 40 * (len(panels) - 1)) / sum(panel.share for panel in panels)
    edges = []
    for panel in panels:
        edges.append((left, left + unit * panel.share))
        left += unit * panel.share + 40
    return edges


def _draw_names(
    text: Axes, rows: Sequence[Row], heights: Sequence[float], indent: float, size: float
) -> None:
    """Names, numbers and notes of the rows, on axes in units of the figure."""
    top = 0.0
    width = text.get_xlim()[1]
    for row, height in zip(rows, heights, strict=True):
        middle = top + height - 9
        name = text.text(
            0 if row.heading else indent,
            middle,
            escaped(row.label),
            size=size,
            va="center",
            color=row.color,
        )
        if row.heading:
            name.set(weight="bold", bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 1})
        text.text(indent - 6, middle, row.number, size=size, va="center", ha="right", color=MUTED)
        text.text(
            width - 2,
            middle,
            escaped(row.note),
            size=size,
            va="center",
            ha="right",
            color=row.note_color,
        )
        top += height


def _draw_panel(
    axes: Axes,
    panel: RowPanel,
    rows: Sequence[Row],
    marks: Sequence[Sequence[Mark]],
    heights: Sequence[float],
) -> None:
    set_limits(
        axes,
        panel.limits,
        (sum(heights), 0.0),
        ticks=5 if axes.get_window_extent().width > 300 else 4,
    )
    axes.set_yticks([])
    axes.set_title(escaped(panel.title), fontsize=TEXT_SIZE, pad=8)
    axes.set_xlabel(escaped(panel.x_title))
    if panel.gold is not None:
        axes.axvline(panel.gold, zorder=1.5, **GOLD_LINE)
        place: dict[str, Any] = {"ha": "center", "va": "bottom", "color": GOLD_COLOR}
        axes.annotate(
            panel.gold_label,
            (panel.gold, 1),
            (0, 3),
            ("data", "axes fraction"),
            textcoords="offset points",
            **place,
        )
    top = 0.0
    for row, found, height in zip(rows, marks, heights, strict=True):
        middle = top + height - 9
        if row.band is not None:
            axes.barh(middle, 2 * row.band, 18.0, -row.band, color=GOLD_COLOR, alpha=0.14, zorder=1)
        if row.joined and found:
            ends = [mark.value for mark in found]
            axes.plot(
                [min(ends), max(ends)],
                [middle, middle],
                color=found[0].style.color,
                linewidth=0.9,
                zorder=2,
            )
        for mark in found:
            axes.plot(
                [mark.low, mark.high],
                [middle, middle],
                color=mark.style.color,
                linewidth=1.9,
                zorder=3,
            )
            draw_marker(axes, mark.value, middle, mark.style, 9.0, mark.hollow)
        top += height
