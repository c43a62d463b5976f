"""How a model is drawn: its color, its marker and its dashes, the same in every chart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
    axes_at,
    canvas,
    text_width,
    to_svg,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's colors, dark enough for white paper; told apart by marker and dash as well, since
# color is not enough.
COLORS = ("#0072b2", "#d55e00", "#00795a", "#a6488c", "#2b8cc4", "#6b4a2b", "#5b5bd6")
MARKERS = ("o", "^", "D", "X", "v", "P", "h")
DASHES: tuple[tuple[float, ...], ...] = ((), (7, 3), (2, 3), (9, 3, 2, 3), (4, 2), (12, 3), (1, 2))
GOLD_LINE: dict[str, Any] = {"color": GOLD_COLOR, "linewidth": 1.2, "dashes": (5, 4)}
Range = tuple[float, float]


@dataclass(frozen=True)
class Style:
    """How one model is drawn, everywhere the same."""

    color: str
    marker: str = "o"
    dashes: tuple[float, ...] = ()


ORIGINAL = Style(INK, "s", (1, 3))
GOLD = Style(GOLD_COLOR, "*", (5, 3))


def styles(
    labels: Iterable[str], originals: Iterable[str], golds: Iterable[str]
) -> dict[str, Style]:
    """A style for every label: the original is the black square, gold the star, each other has its
    own look.
    """
    known = dict.fromkeys(originals, ORIGINAL) | dict.fromkeys(golds, GOLD)
    others = [label for label in dict.fromkeys(labels) if label not in known]
    for i, label in enumerate(others):
        shape = (i + i // len(COLORS)) % len(MARKERS)
        known[label] = Style(COLORS[i % len(COLORS)], MARKERS[shape], DASHES[shape])
    return known


def draw_marker(
    axes: Axes, x: float, y: float, style: Style, size: float, hollow: bool = False
) -> None:
    """One marker; ``hollow`` draws its outline only."""
    wide = size * (1.5 if style.marker == "*" else 1.0)
    face, edge = (PAPER, style.color) if hollow else (style.color, PAPER)
    look: dict[str, Any] = {
        "markerfacecolor": face,
        "markeredgecolor": edge,
        "markeredgewidth": 1.8 if hollow else 0.8,
    }
    axes.plot(
        [x],
        [y],
        marker=style.marker,
        markersize=wide,
        linestyle="",
        clip_on=False,
        zorder=4,
        **look,
    )


def swatch(style: Style) -> Markup:
    """A marker for running text; screen readers skip it, since the name follows."""
    with canvas(20, 20) as figure:
        axes = axes_at(figure, 0, 0, 20, 20)
        axes.set_axis_off()
        figure.patch.set_visible(False)
        axes.set(xlim=(0, 1), ylim=(0, 1))
        draw_marker(axes, 0.5, 0.5, style, 11.0)
        drawn = to_svg(figure, "")
    plain = str(drawn).replace('role="img" aria-label=""', 'class="swatch" aria-hidden="true"')
    return Markup(plain.replace("<title />", ""))


# ------------------------------------------------------------------ the key of a chart

Key = Mapping[str, Style | None]  # words beside markers; words without a style stand alone
KEY_ROW = 20.0


def key_places(key: Key, left: float, right: float) -> list[tuple[float, int]]:
    """Where each entry of a key begins, and in which row: in columns as wide as the longest, or
    side by side if that fits.
    """
    widths = [text_width(words, SMALL) + 36 for words in key]
    if left + sum(widths) > right + 26:
        widths = [max(widths)] * len(widths)
    places: list[tuple[float, int]] = []
    x, row = left, 0
    for width in widths:
        if x > left and x + width - 26 > right:
            x = left
            row = row + 1
        places.append((x, row))
        x += width
    return places


def key_height(key: Key, left: float, right: float) -> float:
    """The height that a key takes."""
    places = key_places(key, left, right)
    if places:
        return KEY_ROW * (places[-1][1] + 1)
    return 0.0


def draw_key(axes: Axes, key: Key, left: float, right: float, top: float) -> None:
    """Draw a key whose first row stands at ``top``, on axes in units of the figure."""
    for (words, style), (x, row) in zip(key.items(), key_places(key, left, right), strict=True):
        y = top + KEY_ROW * row
        if style is not None:
            draw_marker(axes, x + 6, y, style, 9.0)
        color = INK if style else MUTED
        axes.text(x + (16 if style else 0), y, escaped(words), size=SMALL, va="center", color=color)
