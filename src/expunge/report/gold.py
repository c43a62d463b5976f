"""The section of the HTML report about models beside gold: a table for each model, one picture of all differences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import isclose

from markupsafe import Markup

from expunge.core.errors import listed
from expunge.report.beside import Beside, caveats, digits, ends, families, margins, p_value
from expunge.report.compare import Judged, ordered
from expunge.report.figures import Styles
from expunge.report.figures import shown as shortened
from expunge.report.findings import LEADING
from expunge.report.format import interval, phrase, split_key, spoken
from expunge.report.svg import CHAR, GOLD, INK, MUTED, Scale, Style, drawing, fitted, label, line, marker, swatch, tag
from expunge.report.tables import role_rank

WIDTH, ROW, MOST = 470.0, 18.0, 40  # MOST lines in the picture; the rest stands in the tables
TONES = {"good": "#0a5c3b", "bad": "#a4133c", "warn": "#7a4f00", "": MUTED}
SHORT = {"equal": "equal", "not above": "not worse", "not below": "not worse", "undecided": "cannot tell"}


@dataclass(frozen=True)
class Row:
    """A line of a table: the metric with its role, and cells of (words, what stands small below them)."""

    metric: str
    role: str
    first: bool  # of its role
    tone: str
    cells: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Table:
    """A model: its name, its marker, how many metrics came to which verdict, and its rows."""

    label: str
    swatch: Markup
    tally: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Section:
    """All that the template writes. ``figure`` is None where no metric has a margin."""

    tables: tuple[Table, ...]
    figure: Markup | None
    margins: str
    left_out: tuple[str, ...]
    caveats: tuple[str, ...]


def section(subjects: Sequence[Judged], styles: Styles) -> Section | None:
    """The models that were compared with gold; None if none was. A gold beside itself tells nothing and is left out."""
    shown = [s for s in ordered(subjects) if s.beside and (s.kind != "gold" or any(b.difference for b in s.beside.values()))]
    if not shown:
        return None
    every = [b for s in shown for b in s.beside.values()]
    drawn = _keys(shown)
    bare = dict.fromkeys(phrase(k) for s in shown for k, b in s.beside.items() if b.margin is None)
    more = {k for s in shown for k, b in s.beside.items() if b.margin is not None} - set(drawn)
    left_out = [
        f"No margin is known for {listed(list(bare), len(bare))}: a difference there can be told, but not whether it matters."
    ] * bool(bare)
    left_out += [f"{len(more)} more metrics stand in the tables only."] * bool(more)
    tables = tuple(_table(s, styles[s.label]) for s in shown)
    return Section(tables, _picture(shown, drawn, styles), margins(every), tuple(left_out), tuple([*families(every), *caveats(every)]))


def _table(s: Judged, style: Style) -> Table:
    rows: list[Row] = []
    for key in sorted(s.beside, key=lambda k: role_rank(split_key(k)[0])):
        b, (role, name), m = s.beside[key], split_key(key), s.measurements.get(key)
        whole = m is not None and m.value is not None and isclose(m.value, b.model, abs_tol=1e-9)  # else it is of other rows
        role = spoken(role) or "whole model"
        cells = (
            (b.said, b.why),
            (digits(b.model), interval(m, 3) if whole and m is not None else ""),
            (digits(b.gold), ", ".join(map(digits, b.golds)) if len(b.golds) > 1 else ""),
            (digits(b.difference), ends(b)),
            (p_value(b.p), p_value(b.p_holm)),
            (digits(b.detectable), f"margin {digits(b.margin)}" if b.margin is not None else "no margin"),
            (str(b.n), f"{b.groups} groups" + (f", {b.unmatched} unmatched" if b.unmatched else "")),
        )
        rows.append(Row(spoken(name), role, bool(rows) and rows[-1].role != role, b.tone, cells))
    tally = Counter(b.said for b in s.beside.values())
    return Table(s.label, swatch(style), ", ".join(f"{said}\u00a0{n}" for said, n in sorted(tally.items())), tuple(rows))


def _keys(shown: Sequence[Judged]) -> list[str]:
    """The keys to draw, by role: those with a margin, the leading metrics of every role first if there is no room for all."""
    met = dict.fromkeys(k for s in shown for k, b in s.beside.items() if b.margin is not None)
    by_role: dict[str, list[str]] = {}
    for key in sorted(met, key=lambda k: split_key(k)[1] not in LEADING):
        by_role.setdefault(split_key(key)[0], []).append(key)
    place = {k: i for keys in by_role.values() for i, k in enumerate(keys)}
    kept = sorted(met, key=lambda k: place[k])[: max(1, MOST // len(shown))]
    return sorted(kept, key=lambda k: (role_rank(split_key(k)[0]), place[k]))


def _picture(shown: Sequence[Judged], keys: Sequence[str], styles: Styles) -> Markup | None:
    """Differences to gold with their intervals over the margin; of one model by role, of several by metric."""
    lines = [(k, s.label, b) for k in keys for s in shown if (b := s.beside.get(k)) is not None and b.margin is not None]
    if not lines:
        return None
    alone = len(shown) == 1
    blocks: dict[str, list[tuple[str, str, Beside]]] = {}
    for key, of, b in lines:
        role, name = split_key(key)
        head, words = (spoken(role) or "whole model", spoken(name)) if alone else (phrase(key), of)
        blocks.setdefault(head, []).append((shortened(words, 22), of, b))
    left = max(len(words) for block in blocks.values() for words, _, _ in block) * 13 * CHAR + 22
    x = fitted([v for _, _, b in lines for v in _reaches(b)], left, WIDTH - 88, unit=False)
    bottom = 24.0 + 27 * len(blocks) + ROW * len(lines)
    parts = [line(x(v), 22.0, x(v), bottom) for v in x.ticks(4)]
    parts += [label(x(v), bottom + 18, f"{v:g}", "middle", fill=MUTED) for v in x.ticks(4)]
    marks, top = [label(x(0.0), 14.0, "gold", "middle", fill=GOLD.colour)], 22.0
    for head, block in blocks.items():
        marks.append(label(0.0, top + 20, head, font_weight="600", paint_order="stroke", stroke="#ffffff", stroke_width=3.0))
        top += 27
        for words, of, b in block:
            parts.append(_band(b, x, top))
            marks += _line(words, b, top + ROW / 2, x, styles[of])
            top += ROW
    parts.append(line(x(0.0), 22.0, x(0.0), bottom, GOLD.colour, 1.2, "5 4"))
    parts.append(label((x.a + x.b) / 2, bottom + 38, "difference to gold", "middle"))
    told = "; ".join(f"{of}, {phrase(key)}: {digits(b.difference)}, {b.said}" for key, of, b in lines)
    return drawing(WIDTH, bottom + 46, f"Difference to gold with 95 % intervals. {told}.", [*parts, *marks])


def _reaches(b: Beside) -> tuple[float, ...]:
    """Everything that a line of the picture must have room for."""
    margin = b.margin or 0.0
    return (-margin, margin, b.difference, *(b.interval or ()))


def _band(b: Beside, x: Scale, top: float) -> Markup:
    """The margin behind a line."""
    margin = b.margin or 0.0
    wide = x(margin) - x(-margin)
    return tag("rect", x=x(-margin), y=top, width=wide, height=ROW, fill=GOLD.colour, fill_opacity="0.14")


def _line(words: str, b: Beside, cy: float, x: Scale, style: Style) -> list[Markup]:
    """Name, interval, marker (hollow where nothing can be told) and verdict."""
    lo, hi = b.interval or (b.difference, b.difference)
    return [
        label(14.0, cy + 4.5, words, fill=INK),
        line(x(lo), cy, x(hi), cy, style.colour, 1.8),
        marker(x(b.difference), cy, style, 5.0, hollow=b.verdict == "undecided"),
        label(WIDTH - 2, cy + 4.5, "over-forgotten" if b.flags else SHORT.get(b.verdict, "differs"), "end", fill=TONES[b.tone]),
    ]
