"""The trade-off drawn: forget against retain with every method named or numbered, and what is left at equal utility."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from expunge.core.files import write_text
from expunge.experiments.sweep.measures import UTILITY
from expunge.experiments.sweep.stages import curves, names_of
from expunge.experiments.sweep.table import FORGET, HEAD, front, lines_of, mean_of, ordered
from expunge.report.html import TEMPLATES
from expunge.report.svg import (
    CHAR,
    COLOURS,
    FAINT,
    GOLD,
    INK,
    MUTED,
    ORIGINAL,
    Scale,
    Style,
    drawing,
    fitted,
    grid,
    label,
    line,
    marker,
    tag,
)

SIZE = 12.0  # of letters beside the points
BOLD = 1.3  # times as wide
FRONT, OTHER = Style(COLOURS[0], "circle"), Style(MUTED, "circle")
Box = tuple[float, float, float, float]
_LINES = 50  # of the list beside two panels
HALO = {"paint_order": "stroke", "stroke": "#ffffff", "stroke_width": 3.0}


def write_plots(out: Path, found: Mapping[str, Any]) -> None:
    """tradeoff.svg, and tradeoff.html with all drawings and the table; of a benchmark with stages also stages.svg."""
    scatter = tradeoff(found)
    write_text(out / "tradeoff.svg", standing(scatter))
    staged: tuple[Markup, ...] = ()
    if names_of(found):
        staged = (tag("h2", "Stage by stage"), tag("figure", curves(found)))
        write_text(out / "stages.svg", standing(curves(found)))
    css = (TEMPLATES / "style.css").read_text(encoding="utf-8")
    wide = "figure { max-width: 1060px; } svg text { font-variant-numeric: tabular-nums; }"
    body = tag(
        "main",
        tag("h1", f"Bench on {found['plan']['benchmark']}"),
        tag("p", _story(found)),
        tag("figure", scatter),
        tag("h2", "What is left at equal utility"),
        tag("p", _level(found)),
        tag("figure", strips(found)),
        *staged,
        tag("h2", "In numbers"),
        _sheet(HEAD, lines_of(found)),
        tag("p", f"How the numbers were made: {found['command']}", class_="quiet"),
    )
    head = tag("head", tag("meta", charset="utf-8"), tag("title", "Bench"), Markup(f"<style>{css}{wide}</style>"))
    write_text(out / "tradeoff.html", f"<!doctype html>\n{tag('html', head, tag('body', body), lang='en')}\n")


def standing(drawn: Markup) -> str:
    """A drawing as a file of its own."""
    return (
        str(drawn).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" font-family="system-ui, DejaVu Sans, sans-serif" ', 1) + "\n"
    )


def _story(found: Mapping[str, Any]) -> str:
    seeds = found["plan"]["seeds"]
    return (
        f"{len(ordered(found))} methods, mean of {len(seeds)} seed{'s' if len(seeds) > 1 else ''}; bars are the "
        + ("range over seeds" if len(seeds) > 1 else "95 % interval over groups")
        + ". Named: the front, where no other method is nearer to gold on forget and keeps more. "
        + "Numbers are those of the list, best quality first."
    )


def _level(found: Mapping[str, Any]) -> str:
    return (
        f"Forget probability at the method's settings (hollow) and after the original was mixed in until {found['plan']['level']:.0%} of "
        "its retain probability was back (filled): the nearer to gold, the better. Right: retain probability at the settings, and u, the "
        "share of the original."
    )


# ------------------------------------------------------------------ forget against retain


def tradeoff(found: Mapping[str, Any]) -> Markup:
    """One point per method: all of them above, the surroundings of gold below, and the list of numbers at the right.

    The front is named and the others are numbered, where the label covers nothing, with a thin line to the point if it is far.
    """
    rows, near = ordered(found), _near(found)
    parts = _panel(found, Scale(-0.03, 1.03, 46.0, 600.0), Scale(-0.03, 1.03, 330.0 if near else 470.0, 34.0), outside=near)
    if near:
        parts += _panel(found, Scale(near[0], near[1], 46.0, 600.0), Scale(near[2], near[3], 880.0, 424.0))
    columns = max(1, math.ceil(len(rows) / (_LINES if near else 26)))
    parts += _list(rows, front(found), 636.0, _LINES if near else 26)
    points = ((name, _point(row["at_settings"])) for name, row in rows)
    told = "; ".join(f"{name}: {at[0]:.2f} forget, {at[1]:.2f} retain" for name, at in points if at)
    return drawing(640.0 + 170.0 * columns, 930.0 if near else 520.0, f"forget against retain. {told}.", parts)


def _near(found: Mapping[str, Any]) -> Box | None:
    """Values around gold (forget from, to, retain from, to) that deserve a panel of their own; None if there is no crowd."""
    gold = _point(found.get("gold", {}))
    if gold is None:
        return None
    window = (-0.01, gold[0] + 0.23, gold[1] - 0.25, max(1.015, gold[1] + 0.02))
    inside = sum(_in(_point(row["at_settings"]), window) for _, row in ordered(found))
    return window if inside >= 6 else None


def _in(at: tuple[float, float] | None, window: Box | None) -> bool:
    return at is not None and window is not None and window[0] <= at[0] <= window[1] and window[2] <= at[1] <= window[3]


def _panel(found: Mapping[str, Any], x: Scale, y: Scale, outside: Box | None = None) -> list[Markup]:
    """The points that lie inside the scales; those in ``outside`` are drawn but not labelled."""
    rows, best, window = ordered(found), front(found), (x.lo, x.hi, y.lo, y.hi)
    words = ("forget probability  (want: like gold)", "retain probability  (want: high)" if outside or y.b < 100 else "near gold")
    parts: list[Markup] = grid(x, y, *words, most=5)
    marks: list[Markup] = []
    boxes: list[Box] = []
    if outside:
        a, b, c, d = x(max(outside[0], x.lo)), x(outside[1]), y(outside[2]), y(min(outside[3], y.hi))
        parts.append(tag("rect", x=a, y=d, width=b - a, height=c - d, fill="none", stroke=MUTED, stroke_dasharray="2 3"))
        parts.append(label(b - 4, c - 5, "drawn below", "end", SIZE, MUTED))
        boxes.append((a, d, b, c))
    for name, style in (("gold", GOLD), ("original", ORIGINAL)):
        at = _point(found.get(name, {}))
        if at and _in(at, window):
            if name == "gold":
                ends = ((x(at[0]), y.a, x(at[0]), y.b), (x.a, y(at[1]), x.b, y(at[1])))
                parts += [line(*end, GOLD.colour, 1.2, "5 4") for end in ends]
            marks.append(marker(x(at[0]), y(at[1]), style, 7.5))
            boxes.append(_around(x(at[0]), y(at[1]), 10))
    places = [(i, name, row["at_settings"], _point(row["at_settings"])) for i, (name, row) in enumerate(rows, 1)]
    drawn = [(i, name, some, at) for i, name, some, at in places if at and _in(at, window)]
    for _, name, some, at in sorted(drawn, key=lambda d: d[1] in best):
        style = FRONT if name in best else OTHER
        parts += _bars(some, x, y, style)
        marks.append(marker(x(at[0]), y(at[1]), style, 4.5))
        boxes.append(_around(x(at[0]), y(at[1]), 5))
    named = [(n, _point(found[n])) for n in ("original", "gold") if n in found]
    wanted = [(said, at, INK, True) for said, at in named if at and _in(at, window)]
    wanted += [(f"{i} {name}", at, FRONT.colour, True) for i, name, _, at in drawn if name in best]
    wanted += [(str(i), at, INK, False) for i, name, _, at in drawn if name not in best]
    for said, at, colour, heavy in wanted:
        if not (_in(at, outside) and said not in ("original", "gold")):
            parts += _placed(said, x(at[0]), y(at[1]), colour, heavy, boxes, x, y)
    return [*parts, *marks]


def _point(row: Mapping[str, Any]) -> tuple[float, float] | None:
    f, r = mean_of(row, FORGET), mean_of(row, UTILITY)
    return None if f is None or r is None else (f, r)


def _around(x: float, y: float, r: float) -> Box:
    return (x - r, y - r, x + r, y + r)


def _bars(row: Mapping[str, Any], x: Scale, y: Scale, style: Style) -> list[Markup]:
    """The range of both values."""
    f, r = row[FORGET], row[UTILITY]
    cx, cy = x(f["mean"]), y(r["mean"])
    inside = lambda v, scale: scale(min(max(v, scale.lo), scale.hi))
    ink: dict[str, Any] = {"opacity": 0.45}
    return [
        line(inside(f["low"], x), cy, inside(f["high"], x), cy, style.colour, 1.2, **ink),
        line(cx, inside(r["low"], y), cx, inside(r["high"], y), style.colour, 1.2, **ink),
    ]


def _placed(words: str, cx: float, cy: float, colour: str, heavy: bool, boxes: list[Box], x: Scale, y: Scale) -> list[Markup]:
    """A label as near to its point as it can be without covering a point or another label, tied to it by a line if it is far."""
    w, h = len(words) * SIZE * CHAR * (BOLD if heavy else 1) + 4, SIZE
    for mx, my in _outwards(w):
        box = (cx + mx - w / 2, cy + my - h / 2, cx + mx + w / 2, cy + my + h / 2)
        inside = x.a + 2 <= box[0] and box[2] <= x.b - 2 and y.b + 2 <= box[1] and box[3] <= y.a - 2
        if inside and all(box[2] < b[0] or b[2] < box[0] or box[3] < b[1] or b[3] < box[1] for b in boxes):
            boxes.append(box)
            at = label(cx + mx, cy + my + 4, words, "middle", SIZE, colour, font_weight="600" if heavy else None, **HALO)
            far = math.hypot(max(abs(mx) - w / 2, 0.0), max(abs(my) - h / 2, 0.0)) > 9
            return [line(cx, cy, cx + max(min(mx, mx + w / 2), mx - w / 2), cy + my, MUTED, 0.7), at] if far else [at]
    return []


def _outwards(w: float) -> Iterator[tuple[float, float]]:
    """Offsets of a label's middle around its point, near ones first."""
    for r in range(12, 260, 6):
        for k in range(max(8, r // 3)):
            a = 2 * math.pi * k / max(8, r // 3)
            yield math.cos(a) * (r + w / 2 - 4), math.sin(a) * r


def _list(rows: Sequence[tuple[str, Any]], best: set[str], left: float, most: int) -> list[Markup]:
    """Number and name of every method, in columns of ``most``."""
    parts = [label(left, 22.0, "best quality first", size=SIZE, fill=MUTED)]
    for i, (name, _) in enumerate(rows):
        at, top = left + 170.0 * (i // most), 42.0 + 17.5 * (i % most)
        words = name if len(name) <= 20 else name[:19] + "…"
        ink, weight = (FRONT.colour, "600") if name in best else (INK, None)
        parts += [label(at + 18, top, str(i + 1), "end", SIZE, MUTED), label(at + 25, top, words, size=SIZE, fill=ink, font_weight=weight)]
    return parts


# ------------------------------------------------------------------ at equal utility


def strips(found: Mapping[str, Any]) -> Markup:
    """A line per method: forget probability before and after equal utility, retain probability, share of the original."""
    rows, best = ordered(found), front(found)
    top, pitch = 44.0, 18.0
    low = top + pitch * (len(rows) + 2)
    x, r = fitted([0.0, 1.0], 220.0, 660.0), fitted([0.0, 1.0], 710.0, 960.0)
    parts: list[Any] = []
    for scale, words, key in ((x, "forget probability", FORGET), (r, "retain probability", UTILITY)):
        parts += [line(scale(v), top - 8, scale(v), low) for v in scale.ticks(5)]
        parts += [label(scale(v), low + 16, f"{v:g}", "middle", SIZE, MUTED) for v in scale.ticks(5)]
        parts.append(label(scale.a, 16.0, words, font_weight="600"))
        at = mean_of(found.get("gold", {}), key)
        if at is not None:
            parts.append(line(scale(at), top - 8, scale(at), low, GOLD.colour, 1.2, "5 4"))
    parts.append(label(1000.0, 16.0, "u", "middle", font_weight="600"))
    base = [(n, found[n], s) for n, s in (("original", ORIGINAL), ("gold", GOLD)) if n in found]
    for k, (name, row, style) in enumerate(base):
        cy = top + pitch * k
        parts.append(label(30.0, cy + 4, name, size=SIZE, font_weight="600"))
        parts += [marker(s(v), cy, style, 5.0) for s, v in ((x, mean_of(row, FORGET)), (r, mean_of(row, UTILITY))) if v is not None]
    for i, (name, row) in enumerate(rows, 1):
        cy, style = top + pitch * (i + 1), FRONT if name in best else OTHER
        some = row["at_settings"]
        level = some["at_level"]
        parts.append(line(30.0, cy + pitch / 2, 1020.0, cy + pitch / 2, FAINT, 0.5))
        parts += [
            label(24.0, cy + 4, str(i), "end", SIZE, MUTED),
            label(30.0, cy + 4, name[:26], size=SIZE, fill=style.colour if name in best else INK),
        ]
        before, after, kept = mean_of(some, FORGET), mean_of(level, FORGET), mean_of(some, UTILITY)
        if before is not None and after is not None:
            parts += [line(x(before), cy, x(after), cy, style.colour, 1.0), marker(x(before), cy, style, 4.5, hollow=True)]
            parts += [line(x(level[FORGET]["low"]), cy, x(level[FORGET]["high"]), cy, style.colour, 2.4), marker(x(after), cy, style, 4.5)]
        if kept is not None:
            parts += [line(r(some[UTILITY]["low"]), cy, r(some[UTILITY]["high"]), cy, style.colour, 2.4), marker(r(kept), cy, style, 4.5)]
        parts.append(label(1000.0, cy + 4, f"{level['u']['mean']:.2f}", "middle", SIZE))
    return drawing(1030.0, low + 26, "forget probability at the settings and at equal utility, method by method", parts)


def _sheet(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Markup:
    """The table of bench.md in HTML, the method's name first."""
    turned = lambda r: [r[1], r[0], *r[2:]]
    top = tag("tr", *(tag("th", words, scope="col") for words in turned(list(head))))
    body = (tag("tr", tag("th", turned(list(r))[0], scope="row"), *(tag("td", c) for c in turned(list(r))[1:])) for r in rows)
    table = tag("table", tag("thead", top), tag("tbody", *body))
    return tag("div", table, class_="scroll", tabindex="0", role="region", aria_label="measurements")
