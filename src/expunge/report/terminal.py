"""Tables for the terminal: models side by side, one model in full, what attacks brought back.

Pure data in; rich is imported inside.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from expunge.core.escape import escaped
from expunge.core.results import Measurement
from expunge.report.compare import Curve, Judged, best_of_columns, has_gold, ordered, scored
from expunge.report.findings import Finding
from expunge.report.format import NO_GOLD, goal, interval, phrase, split_key, spoken, value
from expunge.report.tables import Reasons, curve_sheet

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

SHORT = {"higher is better": "higher", "lower is better": "lower", "closest to gold": "like gold"}
# holds the place of a mark, so that digits stand below each other; rich would strip a plain space
HOLD = "\u00a0"
LEVELS = {
    "bad": ("red", "✗"),
    "warn": ("yellow", "?"),
    "good": ("green", "✓"),
    "note": ("cyan", "·"),
}


def table(
    subjects: Sequence[Judged], columns: Sequence[str], *, title: str = "", width: int = 80
) -> RenderableType:
    """Models as rows, measurement keys as columns: value, interval below it, the best unlearned of
    each column bold with ``*``.

    Columns that do not fit into ``width`` characters go into a further table below; unscored is a
    dash whose reason is listed.
    """
    from rich.console import Group
    from rich.text import Text

    shown = ordered(subjects)
    winners = best_of_columns(subjects, columns)
    reasons = Reasons()
    first = max([5, *(len(_name(s.label)) for s in shown)])
    parts: list[Any] = [Text(escaped(title), style="bold")] if title else []
    for keys in _fitting({key: _wide(key, shown) for key in columns}, width - first - 4):
        sheet = _empty()
        sheet.add_column("model", no_wrap=True)
        for key in keys:
            sheet.add_column(_head(key, shown), justify="right", min_width=_wide(key, shown))
        for i, s in enumerate(shown):
            last = i + 1 == len(shown) or shown[i + 1].kind != s.kind
            cells = []
            for k in keys:
                cells.append(
                    _cell(
                        s.measurements.get(k),
                        s.label in winners[k],
                        reasons.note(k, s.measurements.get(k)),
                    )
                )
            sheet.add_row(Text(_name(s.label), style=_look(s.kind)), *cells, end_section=last)
        parts.append(sheet)
    below = ["* best unlearned model of its column"] if any(winners.values()) else []
    below += [f"({number}) {reason}" for reason, number in reasons.met.items()]
    return Group(*parts, *(Text(escaped(line), style="dim") for line in below))


def listing(
    measurements: Mapping[str, Measurement], *, title: str = "", gold: bool = True
) -> RenderableType:
    """One model in full: a row per measurement with value, interval, n, groups and which way is
    better; reasons and notes below.

    ``gold``: whether the model was judged beside one.
    """
    from rich.console import Group
    from rich.text import Text

    sheet = _empty()
    reasons = Reasons()
    before = None
    # a role and a short name on one line
    sheet.add_column("measurement", overflow="fold", min_width=18)
    for name in ("value", "95 % interval", "n", "groups"):
        sheet.add_column(name, justify="right", no_wrap=True)
    sheet.add_column("better", no_wrap=True)
    for key, m in measurements.items():
        role = split_key(key)[0]
        if before is not None and role != before:
            sheet.add_section()
        before = role
        n, groups = (str(m.n), str(m.groups)) if scored(m) else ("", "")
        way = goal(m.better, gold)
        way = "" if way == NO_GOLD else way  # said once, below
        sheet.add_row(
            phrase(key),
            _cell(m, False, reasons.note(key, m), False),
            interval(m, 3).replace(", ", "\n"),
            n,
            groups,
            SHORT.get(way, way),
        )
    below = [
        Text(escaped(f"({number}) {reason}"), style="dim") for reason, number in reasons.met.items()
    ]
    if any(goal(m.better, gold) == NO_GOLD for m in measurements.values()):
        below.append(
            Text(
                f"{NO_GOLD} (--gold): what has nothing under better is held against gold",
                style="dim",
            )
        )
    return Group(*([Text(escaped(title), style="bold")] if title else []), sheet, *below)


def curve_table(
    curves: Sequence[Curve], key: str, subjects: Sequence[Judged], *, title: str = ""
) -> RenderableType:
    """What an attack did, gold first: a row per model, a column per point; ``!`` marks what came
    back further than gold did.
    """
    from rich.console import Group
    from rich.text import Text

    found = curve_sheet(curves, key, subjects, curves)
    sheet = _empty()
    sheet.add_column("model", no_wrap=True)
    for name, _, _ in found.heads:
        sheet.add_column(name, justify="right", min_width=6)
    for i, row in enumerate(found.lines):
        last = i + 1 == len(found.lines) or found.lines[i + 1].kind != row.kind
        cells = [
            Text(f"{c.text}!", "bold red")
            if c.back
            else Text(f"{c.text} ({c.note})" if c.note else f"{c.text}{HOLD}")
            for c in row.cells
        ]
        sheet.add_row(Text(_name(row.label), style=_look(row.kind)), *cells, end_section=last)
    if any(c.back for r in found.lines for c in r.cells):
        below = ["! above gold at the same point, its whole interval by more than the margin"]
    else:
        below = []
    below += [f"({i}) {reason}" for i, reason in enumerate(found.reasons, 1)]
    return Group(
        Text(escaped(title or found.title), style="bold"),
        sheet,
        *(Text(escaped(line), style="dim") for line in below),
    )


def told(findings: Sequence[Finding]) -> RenderableType:
    """The findings, one line of headline each with its sentences below."""
    from rich.console import Group
    from rich.padding import Padding
    from rich.text import Text

    parts: list[Any] = []
    for f in findings:
        color, sign = LEVELS[f.level]
        parts.append(Text.assemble((f"{sign} {f.label}: ", f"bold {color}"), (f.headline, "bold")))
        parts.append(Padding(Text(escaped(" ".join(f.sentences))), (0, 0, 0, 2)))
    return Group(*parts)


def _empty() -> Table:
    from rich import box
    from rich.table import Table

    return Table(box=box.SIMPLE_HEAD, pad_edge=False)


def _name(label: str, most: int = 24) -> str:
    """A label that leaves room for numbers: its beginning and its end."""
    label = escaped(label)
    if len(label) <= most:
        return label
    return f"{label[: most // 2]}…{label[1 - most // 2 :]}"


def _look(kind: str) -> str:
    return {"original": "dim", "gold": "yellow"}.get(kind, "")


def _wide(key: str, shown: Sequence[Judged]) -> int:
    """Characters that a column needs: the longest word of its heading or line of its cells."""
    met = [m for s in shown if (m := s.measurements.get(key)) is not None]
    lines = (
        [f"{value(m)}*" for m in met]
        + [part + HOLD for m in met for part in interval(m).split(", ")]
        + [SHORT.get(way := goal(m.better, has_gold(shown)), way) for m in met]
    )
    return max(map(len, [*phrase(key).split(), *lines, "– (1)"]))


def _fitting(columns: Mapping[str, int], room: int) -> list[list[str]]:
    """Columns (key -> characters) cut into runs that fit into ``room`` characters; at least one
    column each.
    """
    runs: list[list[str]] = [[]]
    used = 0
    for key, wide in columns.items():
        need = wide + 3  # a space on either side, and the rule between columns
        if runs[-1] and used + need > room:
            runs.append([])
            used = 0
        runs[-1].append(key)
        used += need
    return runs


def _head(key: str, shown: Sequence[Judged]) -> Text:
    """The key with what its best value is, as the heading of a column."""
    from rich.text import Text

    better = next(
        (
            m.better
            for s in shown
            if (m := s.measurements.get(key)) is not None and m.better is not None
        ),
        None,
    )
    role, name = split_key(key)
    way = goal(better, has_gold(shown))
    head = Text(
        f"{escaped(spoken(role))}\n{escaped(spoken(name))}" if role else escaped(spoken(name)),
        style="bold",
    )
    if way:
        return head.append(f"\n{SHORT.get(way, way)}", style="dim not bold")
    return head


def _cell(m: Measurement | None, best: bool, note: int, ends: bool = True) -> Text:
    """``0.12*`` with the interval below; ``– (1)`` where there is no value."""
    from rich.text import Text

    if m is None or m.value is None:
        return Text(f"{value(m)} ({note})", style="dim")
    beside = f" ({note})" if note else ""
    if not ends:
        return Text(value(m, 3) + beside)
    cell = Text(value(m) + ("*" if best else HOLD) + beside, style="bold green" if best else "")
    if interval(m):
        return cell.append(
            "\n" + interval(m).replace(", ", f"{HOLD}\n") + HOLD, style="dim not bold"
        )
    return cell
