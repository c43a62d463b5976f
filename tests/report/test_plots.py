"""The charts themselves: clean SVG, foreign text escaped, the same bytes every time, labels that do
not overlap.
"""

import itertools
import re
from xml.etree import ElementTree

import pytest

from expunge.report.plots.canvas import limits, shortened, spread, text_width, to_file
from expunge.report.plots.lines import Line, LinePanel, line_chart
from expunge.report.plots.marks import GOLD, ORIGINAL, Style, styles, swatch
from expunge.report.plots.rows import Mark, Row, RowPanel, row_chart
from expunge.report.plots.scatter import Plane, Point, scatter_chart

EVIL = '$x$ <b>"&\x1b[2K 漢字'
BLUE = Style("#0072b2")


def plane(labels, spacing=0.02):
    points = []
    for i, label in enumerate(labels):
        x = 0.5 + spacing * i
        points.append(Point(x, x, (x - 0.01, x + 0.01), (x - 0.01, x + 0.01), BLUE, label))
    return Plane(points, "x", "y", (0.0, 1.0), (0.0, 1.0), (0.4, 0.4))


def charts(name=EVIL):
    """One of each kind, with a foreign name wherever a name can stand."""
    line = Line([0.0, 1.0], [0.2, 0.4], BLUE, [(0.1, 0.3), (0.3, 0.5)], name, markers=8.0)
    panel = LinePanel(name, [line], name, x_ticks=[(0.0, name)], level=0.3, dividers=[(0.0, name)])
    rows = [
        Row(name, heading=True),
        Row(name, [[Mark(0.5, 0.4, 0.6, GOLD, hollow=True)]], name, band=0.1),
    ]
    scale = RowPanel(name, (0.0, 1.0), 0.5, "gold", x_title=name)
    return [
        scatter_chart(plane([name]), name),
        line_chart([panel], name),
        row_chart(rows, [scale], name, key={name: ORIGINAL, "": None}),
        swatch(BLUE),
    ]


@pytest.mark.parametrize("i", range(4))
def test_an_svg_without_ids_links_scripts_and_style(i):
    root = ElementTree.fromstring(charts()[i])
    assert {element.tag for element in root.iter()} <= {"svg", "title", "path", "text"}
    for element in root.iter():
        assert (
            not {"id", "style", "href", "class"} & set(element.attrib)
            or element.get("class") == "swatch"
        )
    assert "http" not in str(charts()[i]) and "url(" not in str(charts()[i])


def test_foreign_names_are_written_as_they_are_and_control_characters_are_written_out():
    for chart in charts()[:3]:
        root = ElementTree.fromstring(chart)
        shown = '$x$ <b>"&\\x1b[2K 漢字'
        assert root.get("aria-label") == shown
        assert shown in [element.text for element in root.iter("text")]
        assert ElementTree.fromstring(to_file(chart)).tag == "{http://www.w3.org/2000/svg}svg"


def test_the_same_bytes_every_time_whatever_the_user_set():
    import matplotlib

    first = charts("npo")
    with matplotlib.rc_context({"font.size": 40.0, "axes.grid": False, "svg.fonttype": "path"}):
        assert charts("npo") == first
    assert matplotlib.rcParams["svg.fonttype"] != "none"  # what is set for a chart does not stay


def test_labels_in_a_crowd_do_not_overlap():
    names = [f"method {i}" for i in range(8)]
    root = ElementTree.fromstring(scatter_chart(plane(names), ""))
    boxes = []
    for element in root.iter("text"):
        if (element.text or "").startswith("method"):
            x, y, wide = (
                float(element.get("x")),
                float(element.get("y")),
                text_width(element.text, 12.0),
            )
            boxes.append((x - wide / 2, y - 11, x + wide / 2, y))
    assert len(boxes) >= 6
    for i, one in enumerate(boxes):
        for other in boxes[:i]:
            assert (
                one[0] >= other[2] or other[0] >= one[2] or one[1] >= other[3] or other[1] >= one[3]
            )


def test_names_at_the_ends_of_lines_are_moved_apart():
    lines = [Line([0.0, 1.0], [0.1 * i, 0.5], BLUE, label=f"line {i}") for i in range(5)]
    drawn = line_chart([LinePanel("", lines)], "")
    heights = sorted(float(y) for y in re.findall(r'y="([\d.]+)"[^>]*>line \d<', drawn))
    assert len(heights) == 5
    assert min(b - a for a, b in itertools.pairwise(heights)) >= 14.9


def test_labels_that_touch_move_as_one():
    assert spread([5.0, 5.0, 90.0], 10.0, 0.0, 100.0) == [0.0, 10.0, 90.0]
    assert spread([99.0, 99.0], 10.0, 0.0, 100.0) == [90.0, 100.0]


def test_original_and_gold_look_the_same_everywhere_and_no_two_others_do():
    looks = styles([f"m{i}" for i in range(40)] + ["original", "gold"], ["original"], ["gold"])
    assert looks["original"] == ORIGINAL and looks["gold"] == GOLD
    assert len(set(looks.values())) == 42


def test_limits_and_short_names():
    assert limits([0.2, 0.9]) == (-0.03, 1.03)
    assert limits([0.0, 10.0], share=False) == (-0.6, 10.6)
    assert limits([]) == (-0.03, 1.03)
    assert shortened("a" * 20) == "a" * 16 + "…"
