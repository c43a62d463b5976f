"""A metric of the judged model beside gold: what comparison.json holds of it, what that means in words, the terminal's table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from expunge.core.escape import escaped
from expunge.report.words import number, phrase

if TYPE_CHECKING:
    from rich.console import RenderableType

ALPHA = 0.05
DECIDED = {"equal": "equal within the margin", "not above": "not worse than gold", "not below": "not worse than gold"}


@dataclass(frozen=True)
class Beside:
    """One metric of the judged model and of gold. ``difference``: model - mean of the golds, with a 95 % interval (bootstrap); p of no
    difference, by Student's t over groups, as the bounds are.

    ``side``: ``unlearned`` where more than gold is bad, ``kept`` where less is. ``p_holm``: adjusted for all the metrics of the side.
    ``margin``: None where the metric has none; then only a difference can be told. ``not_worse``: ``bound``, the 95 % bound of the
    difference towards the bad side, is within the margin. ``equal``: the 90 % interval is within it on both sides. ``detectable``: the
    difference that would have been found with probability .8. ``unmatched``: rows that only one of the models has. Fewer than three
    groups decide nothing: p and what follows are None.
    """

    model: float
    golds: tuple[float, ...]
    side: Literal["unlearned", "kept"]
    difference: float
    interval: tuple[float, float] | None
    n: int
    groups: int
    unmatched: int = 0
    p: float | None = None
    p_holm: float | None = None
    margin: float | None = None
    bound: float | None = None
    not_worse: bool | None = None
    equal: bool | None = None
    detectable: float | None = None

    @property
    def gold(self) -> float:
        """The mean of the golds."""
        return sum(self.golds) / len(self.golds)

    @property
    def verdict(self) -> str:
        """equal to gold, not above (not below) it, above, below, or undecided: neither a difference nor its absence could be shown."""
        if self.equal:
            return "equal"
        if self.not_worse:
            return "not above" if self.side == "unlearned" else "not below"
        if self.p_holm is not None and self.p_holm < ALPHA:
            return "above" if self.difference > 0 else "below"
        return "undecided"

    @property
    def tone(self) -> Literal["good", "bad", ""]:
        """Whether the verdict is a good or a bad one; without a margin nobody can say."""
        if self.verdict in DECIDED:
            return "good"
        worse = self.verdict == ("above" if self.side == "unlearned" else "below")
        return "bad" if worse and self.margin is not None else ""

    @property
    def said(self) -> str:
        """The verdict in words for people."""
        return DECIDED.get(self.verdict) or ("cannot tell" if self.verdict == "undecided" else "differs")

    @property
    def why(self) -> str:
        """What stands below the verdict: which way it differs, or why it cannot be told."""
        if self.verdict != "undecided":
            return "" if self.verdict in DECIDED else f"{self.verdict} gold"
        if self.p is None or self.detectable is None:
            return "fewer than three groups"
        if self.margin is None:
            return "no margin is known"
        return "too few groups for the margin" if self.detectable > self.margin else "too near the margin"


def caveats(every: Iterable[Beside]) -> list[str]:
    """What one must know before believing the verdicts; empty if there is nothing."""
    every, told = list(every), []
    if any(b.p is None for b in every):
        told.append("no p: fewer than three groups (authors, entities, documents) decide nothing")
    if any(len(b.golds) == 1 for b in every):
        told.append("one gold: how far two golds differ is not known and may be more than the margin; give --gold A,B,C")
    return told


def margins(every: Iterable[Beside]) -> str:
    """The margin, or the smallest and the largest: ``0.050 to 0.124``; empty if no metric has one."""
    known = sorted({b.margin for b in every if b.margin is not None})
    return " to ".join(digits(m) for m in dict.fromkeys((known[0], known[-1]))) if known else ""


def beside_gold(rows: Mapping[str, Beside]) -> RenderableType:
    """A row per metric: gold's value, the difference with its interval, the adjusted p, what could have been seen, and the verdict."""
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    sheet = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    sheet.add_column("beside gold", overflow="fold", min_width=14)
    for name in ("gold", "model - gold", "95 % interval", "p", "seen"):
        sheet.add_column(name, justify="right", no_wrap=True)
    sheet.add_column("verdict", no_wrap=True)
    for key, b in rows.items():
        cells = (digits(b.gold), digits(b.difference), ends(b), p_value(b.p_holm), digits(b.detectable))
        sheet.add_row(phrase(key), *cells, Text(b.verdict, style={"good": "green", "bad": "red", "": ""}[b.tone]))
    stated = f" ({within})" if (within := margins(rows.values())) else ""
    notes = [f"equal, not above, not below: shown to lie within the margin{stated}; undecided: neither that nor a difference was shown"]
    notes.append("p: of no difference, Holm's over what is unlearned and over what is kept; seen: the difference found four times in five")
    return Group(sheet, *(Text(escaped(n), style="dim") for n in (*notes, *caveats(rows.values()))))


def ends(b: Beside) -> str:
    """The interval of the difference."""
    return " to ".join(map(digits, b.interval)) if b.interval else ""


def digits(x: float | None) -> str:
    """Three digits: a difference below .0005 is none here."""
    if x is None:
        return ""
    text = f"{x:.3f}" if abs(x) < 10 else number(x)
    return "0.000" if text == "-0.000" else text


def p_value(x: float | None) -> str:
    """A p-value of three digits."""
    return "<0.001" if x is not None and x < 0.0005 else digits(x)
