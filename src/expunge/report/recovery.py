"""What an attack brought back: a table of strength by model with the share recovered beside gold's,
and what follows from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from expunge.core.escape import escaped
from expunge.core.results import Measurement
from expunge.report.compare import Curve, Judged, as_judged, gold_value, margin_of
from expunge.report.findings import trial
from expunge.report.format import NONE, interval, phrase, split_key, tick, value
from expunge.scoring.per_row import is_unlearned

if TYPE_CHECKING:
    from rich.console import RenderableType

NOT_ALONE = (
    "without --gold nothing can be concluded: a model that never saw the forget rows may gain as "
    "much from this attack; "
    "give a model trained without them"
)
NO_SHARE = "without --original nobody knows how much there was to recover"


@dataclass(frozen=True)
class Recovery:
    """An attack of growing strength on a model, and on gold and the original beside it.

    Attributes:
        curves: The attacked model's first, then those of gold, further golds and the original.
    """

    curves: tuple[Curve, ...]

    @property
    def model(self) -> Curve:
        """The curve of the attacked model."""
        return self.curves[0]

    @property
    def subjects(self) -> list[Judged]:
        """The models as they were before the attack."""
        return as_judged(self.curves, ())

    def measurement(self, key: str, at: float | str, of: str = "") -> Measurement:
        """What was measured at a strength, of the attacked model or of another label.

        Raises:
            LookupError: There is no such model, measurement or strength.
        """
        for curve in self.curves:
            if curve.of == (of or self.model.of) and key in curve.series and at in curve.x:
                return curve.series[key][curve.x.index(at)]
        raise LookupError(f"no {key} of {of or self.model.of} at {at}")

    def recovered(self, key: str, kind: str = "") -> list[float | None]:
        """The share of what the original knew and the model did not that each strength brought
        back.

        (attacked - as it is) / (original as it is - as it is), 0 where nothing came back, 1 where
        all did.

        Args:
            key: A measurement that grows with what is known.
            kind: ``gold`` for the mean of the golds under the same attack; "" for the attacked
                model.

        Returns:
            One number for each point; None where there is no original, or nothing was missing by
            more than the margin that matters.
        """
        if kind:
            curves = [c for c in self.curves if c.kind == kind]
        else:
            curves = [self.model]
        was = gold_value(c.series[key][0] for c in self.curves if c.kind == "original")
        shares = []
        for i in range(len(self.model.x)):
            now = gold_value(c.series[key][i] for c in curves)
            before = gold_value(c.series[key][0] for c in curves)
            shares.append(_share(now, before, was, margin_of(self.model.series[key][0])))
        return shares

    def conclusions(self) -> list[str]:
        """A sentence for each measurement of forget rows, and what a missing control prevents."""
        told = []
        for key in self.forget_keys():
            found = trial(self.model, key, self.subjects, self.curves)
            told += [f"{phrase(key)}: {found.sentence}"] if found else []
        told += [] if any(c.kind == "gold" for c in self.curves) else [NOT_ALONE]
        return told + ([] if any(c.kind == "original" for c in self.curves) else [NO_SHARE])

    def forget_keys(self) -> list[str]:
        """The measurements of rows that were to be forgotten."""
        return [
            key
            for key in self.model.series
            if is_unlearned(split_key(key)[0]) and not key.startswith("holdout")
        ]


def _share(
    now: float | None, before: float | None, was: float | None, margin: float
) -> float | None:
    if now is None or before is None or was is None or was - before <= margin:
        return None
    return (now - before) / (was - before)


def recovery_table(found: Recovery, key: str) -> RenderableType:
    """Strengths as rows, models as columns: value and interval; of forget rows the recovered share,
    and gold's.
    """
    from rich import box
    from rich.table import Table

    first = found.model.series[key][0]
    if first.value is not None:
        size = f", n {first.n}, {first.groups} groups"
    else:
        size = ""
    sheet = Table(
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        title=escaped(f"{phrase(key)}{size}"),
        title_justify="left",
    )
    sheet.add_column(escaped(found.model.xlabel))
    shown = [c for c in found.curves if key in c.series]
    for curve in shown:
        sheet.add_column(escaped(curve.of), justify="right", overflow="fold", min_width=9)
    shares = _shares(found, key)
    for name in shares:
        sheet.add_column(name, justify="right")
    for i, at in enumerate(found.model.x):
        cells = [_cell(curve.series[key][i]) for curve in shown]
        cells += [
            NONE if column[i] is None or not i else f"{column[i]:.0%}" for column in shares.values()
        ]
        sheet.add_row(escaped(tick(at)), *cells)
    return sheet


def _shares(found: Recovery, key: str) -> Mapping[str, Sequence[float | None]]:
    """The columns of recovered shares: none for rows that were to be kept, or where nothing is
    known of any point.
    """
    if key not in found.forget_keys():
        return {}
    columns = {"recovered": found.recovered(key), "by gold": found.recovered(key, "gold")}
    said = {}
    for name, column in columns.items():
        if any(share is not None for share in column):
            said[name] = column
    return said


def _cell(m: Measurement) -> str:
    ends = interval(m)
    if ends:
        return f"{value(m)}\n{ends}".replace(", ", "\n")
    return value(m)
