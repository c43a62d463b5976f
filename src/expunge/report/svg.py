"""Small hand-written SVG: elements that escape what they hold, markers and axes. No scripts, no addresses, no style attributes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

# Okabe and Ito's colours, dark enough for white paper; told apart by marker and dash as well, since colour alone is not enough.
COLOURS = ("#0072b2", "#d55e00", "#00795a", "#a6488c", "#2b8cc4", "#6b4a2b", "#5b5bd6")
MARKERS = ("circle", "triangle", "diamond", "cross", "down", "plus", "hexagon")
DASHES = ("", "7 3", "2 3", "9 3 2 3", "4 2", "12 3", "1 2")
INK, MUTED, FAINT = "#1b1f24", "#57606a", "#d8dee4"
CHAR = 0.56  # mean width of a character, in font sizes


@dataclass(frozen=True)
class Style:
    """How one model is drawn, everywhere the same."""

    colour: str
    marker: str
    dash: str = ""


ORIGINAL, GOLD = Style(INK, "square", "1 3"), Style("#9a6700", "star", "5 3")


def styles(labels: Iterable[str], originals: Iterable[str], golds: Iterable[str]) -> dict[str, Style]:
    """label -> Style. Original is the black square, gold the star; every other label keeps its own colour and marker."""
    fixed = dict.fromkeys(originals, ORIGINAL) | dict.fromkeys(golds, GOLD)
    rest = [label for label in dict.fromkeys(labels) if label not in fixed]
    own = {label: Style(COLOURS[i % 7], MARKERS[(i + i // 7) % 7], DASHES[(i + i // 7) % 7]) for i, label in enumerate(rest)}
    return fixed | own


def tag(_name: str, *children: Any, **attributes: Any) -> Markup:
    """An element. ``stroke_width`` becomes ``stroke-width``; None leaves an attribute out; everything is escaped."""
    words = [
        f' {k.rstrip("_").replace("_", "-")}="{escape(_short(v) if isinstance(v, float) else v)}"'
        for k, v in attributes.items()
        if v is not None
    ]
    inner = "".join(str(escape(_short(c) if isinstance(c, float) else c)) for c in children)
    return Markup(f"<{_name}{''.join(words)}>{inner}</{_name}>")


def _short(x: float) -> str:
    return f"{x:.1f}".rstrip("0").rstrip(".")


def line(x1: float, y1: float, x2: float, y2: float, stroke: str = FAINT, width: float = 1.0, dash: str = "", **more: Any) -> Markup:
    """A straight line."""
    return tag("line", x1=x1, y1=y1, x2=x2, y2=y2, stroke=stroke, stroke_width=width, stroke_dasharray=dash or None, **more)


def label(x: float, y: float, words: str, anchor: str = "start", size: float = 13.0, fill: str = INK, **more: Any) -> Markup:
    """Text at its baseline."""
    return tag("text", words, x=x, y=y, text_anchor=anchor, font_size=size, fill=fill, **more)


def path(points: Sequence[tuple[float, float]], style: Style, width: float = 2.0) -> Markup:
    """A polyline through the points."""
    d = " ".join(f"{_short(float(x))},{_short(float(y))}" for x, y in points)
    return tag("polyline", points=d, fill="none", stroke=style.colour, stroke_width=width, stroke_dasharray=style.dash or None)


def marker(x: float, y: float, style: Style, r: float = 6.0, hollow: bool = False) -> Markup:
    """The marker of a style, centred; ``hollow`` draws its outline only."""
    fill, stroke = ("#ffffff", style.colour) if hollow else (style.colour, "#ffffff")
    ink = {"fill": fill, "stroke": stroke, "stroke_width": 2.0 if hollow else 1.0}
    if style.marker == "circle":
        return tag("circle", cx=x, cy=y, r=r, **ink)
    if style.marker in ("plus", "cross"):
        turn = 0.0 if style.marker == "plus" else math.pi / 4
        ends = [(x + r * math.cos(turn + k * math.pi / 2), y + r * math.sin(turn + k * math.pi / 2)) for k in range(4)]
        d = "M" + "M".join(
            f"{_short(a)},{_short(b)}L{_short(c)},{_short(e)}" for (a, b), (c, e) in ((ends[0], ends[2]), (ends[1], ends[3]))
        )
        return tag("path", d=d, stroke=style.colour, stroke_width=1.5 if hollow else 3.5, fill="none")
    corners = _corners(style.marker, r)
    return tag("polygon", points=" ".join(f"{_short(x + a)},{_short(y + b)}" for a, b in corners), **ink)


def _corners(shape: str, r: float) -> list[tuple[float, float]]:
    """Corners around the origin."""
    if shape == "star":
        return [
            (math.sin(k * math.pi / 5) * q, -math.cos(k * math.pi / 5) * q)
            for k, q in ((k, r * 1.5 if k % 2 == 0 else r * 0.65) for k in range(10))
        ]
    sides, turn = {"square": (4, math.pi / 4), "diamond": (4, 0.0), "triangle": (3, 0.0), "down": (3, math.pi), "hexagon": (6, 0.0)}[shape]
    q = r * 1.2
    return [(math.sin(turn + 2 * math.pi * k / sides) * q, -math.cos(turn + 2 * math.pi * k / sides) * q) for k in range(sides)]


@dataclass(frozen=True)
class Scale:
    """Values lo..hi onto pixels a..b (b may be above a, as on a y axis)."""

    lo: float
    hi: float
    a: float
    b: float

    def __call__(self, v: float) -> float:
        return self.a + (v - self.lo) / (self.hi - self.lo) * (self.b - self.a)

    def ticks(self, most: int = 5) -> list[float]:
        """Round values inside the scale, at most ``most`` + 1."""
        raw = (self.hi - self.lo) / most
        unit = 10.0 ** math.floor(math.log10(raw))
        step = next(unit * m for m in (1, 2, 2.5, 5, 10) if unit * m >= raw * 0.999)
        first = math.ceil(self.lo / step - 1e-9)
        return [round(k * step, 12) for k in range(first, math.floor(self.hi / step + 1e-9) + 1)]


TINY = 1e-100  # a range below which nothing could be told apart


def fitted(values: Iterable[float], a: float, b: float, unit: bool = True) -> Scale:
    """A scale that holds all values: 0..1 with a little air for shares (``unit``), else their range with 6 % of air."""
    values = [v for v in values if math.isfinite(v)]
    lo, hi = (min(values), max(values)) if values else (0.0, 1.0)
    if unit and lo >= 0 and hi <= 1:
        return Scale(-0.03, 1.03, a, b)
    air = (hi - lo) * 0.06 or abs(hi) * 0.1
    air = air if air > TINY else 1.0
    return Scale(lo - air, hi + air, a, b)


def grid(x: Scale | None, y: Scale, xlabel: str, ylabel: str, ticks: Sequence[tuple[float, str]] = (), most: int = 5) -> list[Markup]:
    """Grid lines, tick labels and axis titles; ``ticks`` (pixel, words) replace x's own. The y title stands on top, unturned."""
    left, right, low, high = (x.a if x else 0.0), (x.b if x else 0.0), y.a, y.b
    parts = []
    for v in y.ticks(most):
        parts += [line(left, y(v), right, y(v)), label(left - 7, y(v) + 4.5, f"{v:g}", "end", fill=MUTED)]
    for at, words in ticks or ([(x(v), f"{v:g}") for v in x.ticks(5)] if x else []):
        parts += [line(at, low, at, low + 4, MUTED), label(at, low + 19, words, "middle", fill=MUTED)]
    parts += [line(left, low, right, low, MUTED), label((left + right) / 2, low + 38, xlabel, "middle")]
    return [*parts, label(2.0, high - 12, ylabel, "start")]


def drawing(width: float, height: float, alt: str, parts: Sequence[Any]) -> Markup:
    """The svg element. ``alt`` is read out instead of the drawing."""
    return tag("svg", tag("title", alt), *parts, viewBox=f"0 0 {width:g} {height:g}", role="img", aria_label=alt)


def swatch(style: Style) -> Markup:
    """A marker for running text; it stands beside the name, so that it is not read out."""
    return tag("svg", marker(10, 10, style, 6.0), viewBox="0 0 20 20", class_="swatch", aria_hidden="true")


def spread(wanted: Sequence[float], gap: float, lo: float, hi: float) -> list[float]:
    """Positions as near as they can be to the wanted ones, ``gap`` apart and inside lo..hi; order is kept."""
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    blocks: list[list[float]] = []  # of what is wanted once the gaps are taken out; a block moves as one
    for rank, i in enumerate(order):
        blocks.append([wanted[i] - rank * gap])
        while len(blocks) > 1 and _mean(blocks[-2]) >= _mean(blocks[-1]):
            blocks[-2:] = [blocks[-2] + blocks[-1]]
    flat = [_mean(block) for block in blocks for _ in block]
    last = hi - (len(order) - 1) * gap
    return [min(max(flat[rank], lo), max(last, lo)) + rank * gap for rank in (order.index(i) for i in range(len(order)))]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
