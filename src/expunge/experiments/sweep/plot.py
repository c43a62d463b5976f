"""The trade-off drawn: forget against retain with every method named or numbered, and what is left
at equal utility.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup

from expunge.core.files import write_text
from expunge.experiments.sweep.measures import UTILITY
from expunge.experiments.sweep.stages import curves, names_of
from expunge.experiments.sweep.table import FORGET, front, head_of, lines_of, mean_of, ordered
from expunge.report.html import templates
from expunge.report.plots.canvas import INK, MUTED, Box, to_file
from expunge.report.plots.marks import COLORS, GOLD, ORIGINAL, Range, Style
from expunge.report.plots.rows import Mark, Row, RowPanel, row_chart
from expunge.report.plots.scatter import Entry, Plane, Point, numbered_chart

FRONT, OTHER = Style(COLORS[0]), Style(MUTED)
WHOLE: Range = (-0.03, 1.03)
MANY = 6  # points near gold that deserve a plane of their own


def write_plots(out: Path, found: Mapping[str, Any]) -> None:
    """tradeoff.svg, and tradeoff.html with all drawings and the table; of a benchmark with stages
    also stages.svg.

    Args:
        out: The folder of the sweep.
        found: What its bench.json holds.
    """
    scatter = tradeoff(found)
    write_text(out / "tradeoff.svg", to_file(scatter))
    staged = curves(found) if names_of(found) else None
    if staged is not None:
        write_text(out / "stages.svg", to_file(staged))
    environment = templates()
    page = environment.get_template("sweep.html.j2").render(
        benchmark=found["plan"]["benchmark"],
        story=_story(found),
        scatter=scatter,
        level=_level(found),
        strips=strips(found),
        stages=staged,
        head=_name_first(head_of(found)),
        rows=[_name_first(line) for line in lines_of(found)],
        command=found["command"],
    )
    write_text(out / "tradeoff.html", page)


def _name_first(cells: list[str] | tuple[str, ...]) -> list[str]:
    return [cells[1], cells[0], *cells[2:]]


def _story(found: Mapping[str, Any]) -> str:
    seeds = found["plan"]["seeds"]
    several = len(seeds) > 1
    bars = "range over seeds" if several else "95 % interval over groups"
    return (
        f"{len(ordered(found))} methods, mean of {len(seeds)} seed{'s' if several else ''}; bars "
        f"are the {bars}. "
        "Named: the front, where no other method is nearer to gold on forget and keeps more. "
        "Numbers are those of the list, best quality first."
    )


def _level(found: Mapping[str, Any]) -> str:
    return (
        "Forget probability at the method's settings (hollow) and after the original was mixed in "
        "until "
        f"{found['plan']['level']:.0%} of its retain probability was back (filled): the nearer to "
        f"gold, the better. "
        "Right: retain probability at the settings, and u, the share of the original."
    )


# ------------------------------------------------------------------ forget against retain


def tradeoff(found: Mapping[str, Any]) -> Markup:
    """One point per method: all of them above, the surroundings of gold below, and the list of
    numbers at the right.

    Args:
        found: What bench.json of a sweep holds.

    Returns:
        The figure; the front is named and the others are numbered.
    """
    window = _near_gold(found)
    planes = [_plane(found, WHOLE, WHOLE, window)]
    if window:
        planes.append(_plane(found, (window[0], window[2]), (window[1], window[3])))
    best = front(found)
    entries, told = [], []
    for name, row in ordered(found):
        entries.append(Entry(name, FRONT.color, bold=True) if name in best else Entry(name))
        at = _place(row["at_settings"])
        if at:
            told.append(f"{name}: {at[0]:.2f} forget, {at[1]:.2f} retain")
    return numbered_chart(planes, entries, f"forget against retain. {'; '.join(told)}.")


def _place(row: Mapping[str, Any]) -> tuple[float, float] | None:
    """(forget probability, retain probability), if both are known."""
    forget = mean_of(row, FORGET)
    retain = mean_of(row, UTILITY)
    return None if forget is None or retain is None else (forget, retain)


def _near_gold(found: Mapping[str, Any]) -> Box | None:
    """(left, low, right, high) around gold, if that is crowded enough for a plane of its own."""
    gold = _place(found.get("gold", {}))
    if gold is None:
        return None
    window = (-0.01, gold[1] - 0.25, gold[0] + 0.23, max(1.015, gold[1] + 0.02))
    inside = [name for name, row in ordered(found) if _within(_place(row["at_settings"]), window)]
    return window if len(inside) >= MANY else None


def _within(at: tuple[float, float] | None, box: Box) -> bool:
    return at is not None and box[0] <= at[0] <= box[2] and box[1] <= at[1] <= box[3]


def _plane(found: Mapping[str, Any], x: Range, y: Range, window: Box | None = None) -> Plane:
    """The points inside the limits; those inside ``window``, which another plane shows, are not
    labeled.
    """
    edges = (x[0], y[0], x[1], y[1])
    best = front(found)
    named, numbered = [], []
    for i, (name, row) in enumerate(ordered(found), 1):
        some = row["at_settings"]
        at = _place(some)
        if at is None or not _within(at, edges):
            continue
        labeled = window is None or not _within(at, window)
        if name in best:
            label = f"{i} {name}" if labeled else ""
            named.append(_point(some, at, FRONT, label, bold=True))
        else:
            numbered.append(_point(some, at, OTHER, str(i) if labeled else ""))
    gold = _place(found.get("gold", {}))
    for name, style in (("gold", GOLD), ("original", ORIGINAL)):
        at = _place(found.get(name, {}))
        if at and _within(at, edges):
            named.append(Point(*at, (at[0], at[0]), (at[1], at[1]), style, name, 13.0, bold=True))
    if edges[:2] == (WHOLE[0], WHOLE[0]):
        title = "retain probability  (want: high)"
    else:
        title = "near gold"
    lines = gold if gold and _within(gold, edges) else (None, None)
    return Plane(
        [*numbered, *named], "forget probability  (want: like gold)", title, x, y, lines, window
    )


def _point(
    row: Mapping[str, Any], at: tuple[float, float], style: Style, label: str, bold: bool = False
) -> Point:
    color = style.color if bold else INK
    return Point(*at, _range(row[FORGET]), _range(row[UTILITY]), style, label, 8.5, bold, color)


def _range(value: Mapping[str, Any]) -> Range:
    """The interval of a value; the value twice where it has none."""
    low = value["low"]
    high = value["high"]
    if low is None or high is None:
        return (value["mean"], value["mean"])
    return (low, high)


# ------------------------------------------------------------------ at equal utility


def strips(found: Mapping[str, Any]) -> Markup:
    """A row per method: forget probability before and after equal utility, retain probability,
    share of the original.

    Args:
        found: What bench.json of a sweep holds.

    Returns:
        The figure.
    """
    rows = []
    for name, style in (("original", ORIGINAL), ("gold", GOLD)):
        if name in found:
            marks = [_bare_mark(found[name], key, style) for key in (FORGET, UTILITY)]
            rows.append(Row(name, marks))
    best = front(found)
    for i, (name, row) in enumerate(ordered(found), 1):
        style = FRONT if name in best else OTHER
        some = row["at_settings"]
        level = row["at_settings"]["at_level"]
        forget = [*_bare_mark(some, FORGET, style, hollow=True), *_mark(level, FORGET, style)]
        color = style.color if name in best else INK
        marks = [forget, _mark(some, UTILITY, style)]
        rows.append(
            Row(
                name[:26],
                marks,
                "–" if level["u"]["mean"] is None else f"{level['u']['mean']:.2f}",
                color=color,
                number=str(i),
                joined=True,
            )
        )
    gold = found.get("gold", {})
    panels = [
        RowPanel("forget probability", WHOLE, mean_of(gold, FORGET), share=1.8),
        RowPanel("retain probability", WHOLE, mean_of(gold, UTILITY)),
    ]
    alt = "forget probability at the settings and at equal utility, method by method"
    return row_chart(rows, panels, alt, 1030.0, note_title="u")


def _mark(row: Mapping[str, Any], key: str, style: Style) -> list[Mark]:
    """A value with its interval; nothing where there is no value."""
    value = mean_of(row, key)
    if value is None:
        return []
    return [Mark(value, *_range(row[key]), style)]


def _bare_mark(row: Mapping[str, Any], key: str, style: Style, hollow: bool = False) -> list[Mark]:
    """A value without its interval; nothing where there is no value."""
    value = mean_of(row, key)
    if value is None:
        return []
    return [Mark(value, value, value, style, hollow)]
