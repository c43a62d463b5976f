"""The section of the HTML report about models beside gold: a table for each model, one picture of
all differences.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import isclose

from markupsafe import Markup

from expunge.core.errors import listed
from expunge.report.beside import caveats, digits, ends, families, margins, p_value
from expunge.report.compare import Judged, ordered
from expunge.report.figures import Styles, differences
from expunge.report.findings import LEADING
from expunge.report.format import interval, phrase, split_key, spoken
from expunge.report.plots.marks import Style, swatch
from expunge.report.tables import role_rank

MOST = 40  # rows in the picture; the rest stands in the tables


@dataclass(frozen=True)
class Row:
    """A line of a table: the metric with its role, and cells of (words, what stands small below
    them).
    """

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
    """The models that were compared with gold; None if none was.

    A gold beside itself tells nothing and is left out.
    """
    shown = []
    for s in ordered(subjects):
        differs = any(b.difference for b in s.beside.values())
        if s.beside and (s.kind != "gold" or differs):
            shown.append(s)
    if not shown:
        return None
    every = [b for s in shown for b in s.beside.values()]
    drawn = _keys(shown)
    bare = dict.fromkeys(phrase(k) for s in shown for k, b in s.beside.items() if b.margin is None)
    more = {k for s in shown for k, b in s.beside.items() if b.margin is not None} - set(drawn)
    left_out = [
        f"No margin is known for {listed(list(bare), len(bare))}: a difference there can be told, "
        f"but not whether it matters."
    ] * bool(bare)
    left_out += [f"{len(more)} more metrics stand in the tables only."] * bool(more)
    tables = tuple(_table(s, styles[s.label]) for s in shown)
    return Section(
        tables,
        differences(shown, drawn, styles),
        margins(every),
        tuple(left_out),
        tuple([*families(every), *caveats(every)]),
    )


def _table(s: Judged, style: Style) -> Table:
    rows: list[Row] = []
    for key in sorted(s.beside, key=lambda k: role_rank(split_key(k)[0])):
        b, (role, name), m = s.beside[key], split_key(key), s.measurements.get(key)
        # else it is of other rows
        whole = m is not None and m.value is not None and isclose(m.value, b.model, abs_tol=1e-9)
        role = spoken(role) or "whole model"
        cells = (
            (b.said, b.why),
            (digits(b.model), interval(m, 3) if whole and m is not None else ""),
            (digits(b.gold), ", ".join(map(digits, b.golds)) if len(b.golds) > 1 else ""),
            (digits(b.difference), ends(b)),
            (p_value(b.p), p_value(b.p_holm)),
            (
                digits(b.detectable),
                f"margin {digits(b.margin)}" if b.margin is not None else "no margin",
            ),
            (
                str(b.n),
                f"{b.groups} groups" + (f", {b.unmatched} unmatched" if b.unmatched else ""),
            ),
        )
        rows.append(Row(spoken(name), role, bool(rows) and rows[-1].role != role, b.tone, cells))
    tally = Counter(b.said for b in s.beside.values())
    return Table(
        s.label,
        swatch(style),
        ", ".join(f"{said}\u00a0{n}" for said, n in sorted(tally.items())),
        tuple(rows),
    )


def _keys(shown: Sequence[Judged]) -> list[str]:
    """The keys to draw, by role: those with a margin, the leading metrics of every role first if
    there is no room for all.
    """
    met = dict.fromkeys(k for s in shown for k, b in s.beside.items() if b.margin is not None)
    by_role: dict[str, list[str]] = {}
    for key in sorted(met, key=lambda k: split_key(k)[1] not in LEADING):
        by_role.setdefault(split_key(key)[0], []).append(key)
    place = {k: i for keys in by_role.values() for i, k in enumerate(keys)}
    kept = sorted(met, key=lambda k: place[k])[: max(1, MOST // len(shown))]
    return sorted(kept, key=lambda k: (role_rank(split_key(k)[0]), place[k]))
