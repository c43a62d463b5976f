"""Units of metrics: the range of their values, and how large a difference between two models must
be to matter.

The one place of margins, and of what is too few to go by. A card names its unit; a metric whose
argument ``scale`` is 100 is judged at 100 times the margin of its unit.
"""

from __future__ import annotations

from dataclasses import dataclass

FEW_GOLDS = 4  # with fewer golds their spread is too rough a guess to widen a margin by
FEW_GROUPS = 8  # with fewer an interval stands on a guess of the spread: results/coverage.md
TOO_FEW = "too few groups"  # the words beside every interval of fewer


@dataclass(frozen=True)
class Unit:
    """``margin``: the difference between two models that is accepted as too small to matter; None:
    nobody knows one.

    ``low``, ``high``: the ends of the range that values can have; None: no end on that side.
    """

    margin: float | None = None
    low: float | None = None
    high: float | None = None

    def times(self, scale: float) -> Unit:
        """The same unit for values that a metric multiplies by ``scale`` (> 0).

        >>> UNITS["share"].times(100)
        Unit(margin=5.0, low=0.0, high=100.0)
        """
        scaled = []
        for x in (self.margin, self.low, self.high):
            scaled.append(None if x is None else x * scale)
        return Unit(*scaled)


# Five points of a probability, of a rate of leaks and of an AUC alike are the effect that matters
# (a rate of 1 in 20). A tenth of a nat changes a token's probability by a tenth of itself; a tenth
# of a nat in bits is .14, rounded down. Of lengths in words, of perplexities and of sums and ratios
# of other metrics nobody has said what matters.
UNITS: dict[str, Unit] = {
    "share": Unit(0.05, 0.0, 1.0),
    "auc": Unit(0.05, 0.0, 1.0),
    "percent": Unit(5.0, 0.0, 100.0),
    "cosine": Unit(0.05, -1.0, 1.0),
    "difference": Unit(0.05, -1.0, 1.0),  # of two shares
    "nats": Unit(0.1),
    "bits": Unit(0.1),
    "words": Unit(None, 0.0),
    "tokens": Unit(None, 1.0),
    "": Unit(),
}


def too_few(groups: int) -> str:
    """The words that belong beside an interval of so many groups; '' where they are enough, or
    nobody counted them.
    """
    return TOO_FEW if 0 < groups < FEW_GROUPS else ""
