"""What every chart shares: matplotlib's settings, text widths, axis limits, and clean SVG out of a
figure.

matplotlib is imported by the functions that draw, so that nothing else pays for it.
"""

from __future__ import annotations

import io
import math
import re
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from markupsafe import Markup

from expunge.core.escape import escaped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, FAINT, PAPER = "#1b1f24", "#57606a", "#d8dee4", "#ffffff"
GOLD_COLOR = "#9a6700"
TEXT_SIZE, SMALL = 13.0, 12.0  # of text in the page, and in wide charts
POINTS_PER_INCH = 72.0  # with this resolution one unit of a figure is one unit of its viewBox
SVG_NAMESPACE = "http://www.w3.org/2000/svg"
Box = tuple[float, float, float, float]
LINK = "{http://www.w3.org/1999/xlink}href"
SMALLEST_RANGE = 1e-100  # a range below which nothing could be told apart
SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text: it can be searched, read aloud and copied
    "svg.hashsalt": "expunge",
    "text.parse_math": False,  # a dollar sign in a name is a dollar sign
    "font.family": ["DejaVu Sans"],  # comes with matplotlib, and is wider than what browsers show
    "font.size": TEXT_SIZE,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 1.0,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "grid.color": FAINT,
    "grid.linewidth": 1.0,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "ytick.major.size": 0.0,
    "lines.scale_dashes": False,
    "lines.dash_capstyle": "butt",
    "lines.solid_capstyle": "butt",
}


@contextmanager
def canvas(width: float, height: float) -> Iterator[Figure]:
    """An empty figure of that size, in the one style; settings of the user do not reach it."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(), warnings.catch_warnings():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(SETTINGS)
        # The page's own font draws the text; that the measuring font lacks a letter does not
        # matter.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        size = (width / POINTS_PER_INCH, height / POINTS_PER_INCH)
        yield Figure(figsize=size, dpi=POINTS_PER_INCH)


def axes_at(figure: Figure, left: float, top: float, right: float, bottom: float) -> Axes:
    """Axes whose frame lies there, in units of the figure counted from its upper left corner."""
    width, height = figure.get_size_inches() * POINTS_PER_INCH
    frame = (left / width, 1 - bottom / height, (right - left) / width, (bottom - top) / height)
    return figure.add_axes(frame)


def set_limits(axes: Axes, x: tuple[float, float], y: tuple[float, float], ticks: int = 5) -> None:
    """Set both scales, with at most ``ticks`` + 1 round values on each."""
    from matplotlib.ticker import MaxNLocator

    axes.set_xlim(*x)
    axes.set_ylim(*y)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(ticks, steps=[1, 2, 2.5, 5, 10]))
        axis.set_major_formatter(_tick)


def _tick(value: float, _position: float) -> str:
    return f"{value:g}"


def limits(values: Iterable[float], share: bool = True) -> tuple[float, float]:
    """Axis limits that hold all values.

    Args:
        values: What will be drawn; values that are not finite are left out.
        share: Whether values that all lie in 0..1 get the whole of 0..1.

    Returns:
        The lower and the upper limit, with a little air on both sides.
    """
    kept = [v for v in values if math.isfinite(v)]
    low, high = (min(kept), max(kept)) if kept else (0.0, 1.0)
    if share and low >= 0 and high <= 1:
        return -0.03, 1.03
    air = (high - low) * 0.06 or abs(high) * 0.1
    if air <= SMALLEST_RANGE:
        air = 1.0
    return low - air, high + air


def text_width(words: str, size: float = TEXT_SIZE, bold: bool = False) -> float:
    """The width of a text in units of the figure."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(family="DejaVu Sans", size=size, weight="bold" if bold else "normal")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        width, _, _ = text_to_path.get_text_width_height_descent(escaped(words), font, False)
    return float(width)


def shortened(words: str, most: int = 17) -> str:
    """A name that leaves room for the drawing, without control characters."""
    said = escaped(words)
    if len(said) <= most:
        return said
    return said[: most - 1] + "…"


def spread(wanted: list[float], gap: float, low: float, high: float) -> list[float]:
    """Positions as near as they can be to the wanted ones.

    Args:
        wanted: Where each label would stand if it were alone.
        gap: The least distance between two labels.
        low: The least position.
        high: The greatest position.

    Returns:
        One position for each wanted one; their order is kept.
    """
    order = sorted(range(len(wanted)), key=wanted.__getitem__)
    # labels that touch move as one block, to the mean of their wishes
    blocks: list[list[float]] = []
    for rank, i in enumerate(order):
        blocks.append([wanted[i] - rank * gap])
        while len(blocks) > 1 and _mean(blocks[-2]) >= _mean(blocks[-1]):
            blocks[-2:] = [blocks[-2] + blocks[-1]]
    flat = [_mean(block) for block in blocks for _ in block]
    highest = max(high - (len(order) - 1) * gap, low)
    placed = [0.0] * len(wanted)
    for rank, i in enumerate(order):
        placed[i] = min(max(flat[rank], low), highest) + rank * gap
    return placed


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


# ------------------------------------------------------------------ SVG


def to_svg(figure: Figure, alt: str) -> Markup:
    """The figure as an svg element for a page.

    matplotlib's output is flattened to paths and texts: no ids (so that several figures can share a
    page), no style attributes (which a strict content security policy forbids), no metadata and no
    links.

    Args:
        figure: A figure made by ``canvas``.
        alt: What is read aloud instead of the drawing.

    Returns:
        The element; the same figure gives the same bytes.
    """
    file = io.StringIO()
    figure.savefig(
        file, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type"))
    )
    root = ElementTree.fromstring(file.getvalue())
    spoken = escaped(alt)
    attributes = {"viewBox": root.get("viewBox", ""), "stroke-linejoin": "round"}
    svg = ElementTree.Element("svg", {**attributes, "role": "img", "aria-label": spoken})
    ElementTree.SubElement(svg, "title").text = spoken
    svg.extend(_flattened(root))
    return Markup(ElementTree.tostring(svg, encoding="unicode"))


def to_file(drawing: Markup) -> str:
    """A drawing as the text of an SVG file of its own."""
    head = f'<svg xmlns="{SVG_NAMESPACE}" font-family="system-ui, DejaVu Sans, sans-serif" '
    return str(drawing).replace("<svg ", head, 1) + "\n"


def _flattened(root: ElementTree.Element) -> Iterator[ElementTree.Element]:
    """Every visible path and text in the order of drawing."""
    shapes: dict[str, ElementTree.Element] = {}
    for defs in root.iter(f"{{{SVG_NAMESPACE}}}defs"):
        shapes |= {shape.get("id", ""): shape for shape in defs}
    only_defined = {id(shape) for shape in shapes.values()}
    for element in root.iter():
        kind = element.tag.removeprefix(f"{{{SVG_NAMESPACE}}}")
        if kind == "use":
            yield _marker(element, shapes[element.get(LINK, "")[1:]])
        elif kind == "path" and id(element) not in only_defined:
            yield ElementTree.Element("path", {"d": _path(element), **_looks(element)})
        elif kind == "text":
            yield _text(element)


def _marker(use: ElementTree.Element, shape: ElementTree.Element) -> ElementTree.Element:
    """A marker at its place; what the shape says of its looks goes before what its use says."""
    at = f"translate({_rounded(use.get('x', '0'))} {_rounded(use.get('y', '0'))})"
    return ElementTree.Element(
        "path", {"d": _path(shape), **_looks(use), **_looks(shape), "transform": at}
    )


def _text(element: ElementTree.Element) -> ElementTree.Element:
    place = {"x": _rounded(element.get("x", "0")), "y": _rounded(element.get("y", "0"))}
    text = ElementTree.Element("text", {**place, **_looks(element)})
    text.text = element.text
    return text


def _looks(element: ElementTree.Element) -> dict[str, str]:
    """The style attribute as attributes, without the font, which is the page's."""
    pairs = [entry.split(":", 1) for entry in element.get("style", "").split(";") if ":" in entry]
    looks = {name.strip(): value.strip().removesuffix("px") for name, value in pairs}
    looks.pop("font-family", None)
    return looks


def _path(element: ElementTree.Element) -> str:
    return _rounded(" ".join(element.get("d", "").split()))


def _rounded(numbers: str) -> str:
    """Numbers of more than two decimals with two."""
    return re.sub(r"-?\d+\.\d{3,}", _two_decimals, numbers)


def _two_decimals(match: re.Match[str]) -> str:
    return f"{float(match.group()):.2f}".rstrip("0").rstrip(".")
