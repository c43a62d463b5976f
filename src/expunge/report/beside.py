"""A metric of the judged model beside gold: what comparison.json holds of it, what that means in
words, the terminal's table.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from expunge.core.escape import escaped
from expunge.core.units import FEW_GOLDS, FEW_GROUPS, TOO_FEW, too_few
from expunge.report.format import number, phrase

if TYPE_CHECKING:
    from rich.console import RenderableType

ALPHA = 0.05
Side = Literal["unlearned", "kept", "control"]
Tone = Literal["good", "bad", "warn", ""]
DECIDED = {
    "equal": "equal within the margin",
    "not above": "not worse than gold",
    "not below": "not worse than gold",
}
OVER = "over_forgotten"


@dataclass(frozen=True)
class Beside:
    """One metric of the judged model and of gold.

    ``difference``: model - mean of the golds, with its 95 % interval (rows, and how surely the
    golds tell their mean); ``p`` of no difference, that is of one gold more lying as far from the
    mean of the others (rows and seeds). Both by Student's t. With one gold both are of the rows
    alone: how far another seed would lie is in neither.

    ``side``: ``unlearned`` where gold's value is the target and more than it is worst, ``kept``
    where less is, ``control`` for rows that neither model saw. ``p_holm``: adjusted for all the
    metrics of the side; it decides nothing. ``margin``: None where the metric has none; then only a
    difference can be told; ``widened``: the golds lie so far apart that it is larger than the
    metric's own. ``not_worse``: ``bound``, the 95 % bound of the difference towards the bad side,
    is within the margin (None: no side is known to be bad). ``equal``: the 90 % interval is within
    it on both sides. ``detectable``: the difference towards the bad side of which the verdict would
    say so with probability .8. ``unmatched``: rows that only one of the models has. ``fewest``:
    groups of the smaller side, where there are two.
    ``constant``: no group differs from another, so nothing is known of the spread. Fewer than three
    groups decide nothing: p and what follows are None.
    """

    model: float
    golds: tuple[float, ...]
    side: Side
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
    widened: bool = False
    fewest: int = 0
    constant: bool = False
    doubted: bool = False

    @property
    def gold(self) -> float:
        """The mean of the golds."""
        return sum(self.golds) / len(self.golds)

    @property
    def warning(self) -> str:
        """``too few groups`` where an interval stands on fewer than FEW_GROUPS of them."""
        return too_few(self.fewest or self.groups)

    @property
    def differs(self) -> bool:
        """Whether a difference was shown, by this metric alone."""
        return self.p is not None and self.p < ALPHA and not self.equal

    @property
    def verdict(self) -> str:
        """equal to gold, not above (not below) it, above, below, or undecided: neither a difference
        nor its absence could be shown.

        Where gold is the target, less than gold is a difference, too: ``not above`` is only said of
        what was not shown to lie below.
        """
        if self.equal:
            return "equal"
        too_low = self.side == "unlearned" and self.differs and self.difference < 0
        if self.not_worse and not too_low:
            return "not above" if self.side == "unlearned" else "not below"
        if self.differs:
            return "above" if self.difference > 0 else "below"
        return "undecided"

    @property
    def flags(self) -> list[str]:
        """``over_forgotten``: what was to be forgotten is known less than by a model that never saw
        it, which can be noticed, too.
        """
        known = self.side == "unlearned" and self.not_worse is not None
        return [OVER] if known and self.verdict == "below" else []

    @property
    def tone(self) -> Tone:
        """Whether the verdict is a good or a bad one; where no side is known to be bad nobody can
        say, nor of a file that cannot be checked.
        """
        if self.doubted:
            return ""
        if self.verdict in DECIDED:
            return "good" if self.side != "control" else ""
        if self.not_worse is None:
            return ""
        if self.flags:
            return "warn"
        return "bad" if self.verdict == ("above" if self.side == "unlearned" else "below") else ""

    @property
    def said(self) -> str:
        """The verdict in words for people."""
        if self.flags:
            return "over-forgotten"
        return DECIDED.get(self.verdict) or (
            "cannot tell" if self.verdict == "undecided" else "differs"
        )

    @property
    def why(self) -> str:
        """What stands below the verdict: which way it differs, or why it cannot be told."""
        if self.verdict != "undecided":
            return "" if self.verdict in DECIDED else f"{self.verdict} gold"
        if self.constant:
            return "the same in every group"
        if self.p is None or self.detectable is None:
            return "fewer than three groups"
        if self.margin is None:
            return "no margin is known"
        if self.detectable > self.margin:
            return "too few groups for the margin"
        return "too near the margin"


def caveats(every: Iterable[Beside]) -> list[str]:
    """What one must know before believing the verdicts; empty if there is nothing."""
    every = list(every)
    told = []
    few = [b for b in every if b.warning]
    if few:
        told.append(
            f"{TOO_FEW} in {len(few)} of {len(every)}: fewer than {FEW_GROUPS} authors, entities "
            f"or documents, and a rough interval"
        )
    if any(b.p is None and not b.constant for b in every):
        told.append("no p: fewer than three groups (authors, entities, documents) decide nothing")
    if any(b.constant for b in every):
        told.append(
            "where no group differs from another nothing is called equal: the interval is the "
            "exact bound of so many groups"
        )
    golds = {len(b.golds) for b in every}
    if 1 in golds:
        told.append(
            "one gold: p, interval and verdict hold for these rows and this gold; how far a gold "
            "of another seed would lie is in none of "
            "them and may be more than the margin; give --gold A,B,C,D"
        )
    for few_golds in sorted(n for n in golds if 1 < n < FEW_GOLDS):
        told.append(
            f"{few_golds} golds: p counts how far they lie apart, the margin is not widened by it; "
            f"that takes {FEW_GOLDS} golds"
        )
    wide = sum(b.widened for b in every)
    if wide:
        told.append(
            f"{wide} margins are wider than the metric's own, as far as one gold more may lie, "
            f"twice the metric's own at most"
        )
    if any(b.flags for b in every):
        told.append(
            "over-forgotten: known less than by a model that never saw it; that, too, gives away "
            "what was forgotten"
        )
    return told


def families(every: Iterable[Beside]) -> list[str]:
    """Of each side, how many metrics differ one by one and how many when all are taken as one
    family.
    """
    told = []
    for side, words in (("unlearned", "what is unlearned"), ("kept", "what is kept")):
        asked = [b for b in every if b.side == side and b.p is not None]
        alone = sum(b.p < ALPHA for b in asked if b.p is not None)
        together = sum(b.p_holm < ALPHA for b in asked if b.p_holm is not None)
        if asked:
            told.append(
                f"{words}: {alone} of {len(asked)} metrics differ from gold one by one, {together} "
                f"with Holm's correction for all"
            )
    return told


def margins(every: Iterable[Beside]) -> str:
    """The margin, or smallest and largest: ``0.050 to 0.124``; empty if no metric has one."""
    known = sorted({b.margin for b in every if b.margin is not None})
    if known:
        return " to ".join(digits(m) for m in dict.fromkeys((known[0], known[-1])))
    return ""


def beside_gold(rows: Mapping[str, Beside]) -> RenderableType:
    """A row per metric: gold's value, the difference with its interval, the adjusted p, what could
    have been seen, and the verdict.
    """
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
        cells = (
            digits(b.gold),
            digits(b.difference),
            ends(b, "\n"),
            p_value(b.p),
            digits(b.detectable),
        )
        verdict = "over-forgotten" if b.flags else b.verdict
        color = {"good": "green", "bad": "red", "warn": "magenta", "": ""}[b.tone]
        sheet.add_row(phrase(key), *cells, Text(verdict, style=color))
    if within := margins(rows.values()):
        stated = f" ({within})"
    else:
        stated = ""
    notes = [
        f"equal, not above, not below: shown to lie within the margin{stated}; undecided: neither "
        f"that nor a difference was shown"
    ]
    notes.append(
        "p: of no difference, each metric for itself; seen: the difference that this verdict finds "
        "four times in five"
    )
    every = list(rows.values())
    return Group(
        sheet, *(Text(escaped(n), style="dim") for n in (*notes, *families(every), *caveats(every)))
    )


def ends(b: Beside, between: str = ", ") -> str:
    """The interval of the difference, and the warning that belongs to it."""
    parts = [" to ".join(map(digits, b.interval)) if b.interval else "", b.warning]
    return between.join(p for p in parts if p)


def digits(x: float | None) -> str:
    """Three digits: a difference below .0005 is none here."""
    if x is None:
        return ""
    if abs(x) < 10:
        text = f"{x:.3f}"
    else:
        text = number(x)
    return "0.000" if text == "-0.000" else text


def p_value(x: float | None) -> str:
    """A p-value of three digits."""
    return "<0.001" if x is not None and x < 0.0005 else digits(x)
