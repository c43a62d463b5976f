"""Two models on the same rows: how sure a difference is, how far its bounds lie, and how small a
difference could be seen.

Two things move a difference to gold that is none: the rows that were asked (they hang together in
groups, and are paired by id), and the seed that made the model, which shows in how far golds of
other seeds lie from one another. ``Error`` holds both. Of one gold the second is not known, and
what is said then is said of the rows alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import t as student

from expunge.core.results import Record
from expunge.core.units import FEW_GOLDS
from expunge.scoring.bootstrap import unseen

ALPHA = 0.05
# times the margin: golds further apart leave a difference undecided, they do not excuse it
MOST_WIDENED = 2.0
TRIES = 2000  # simulated comparisons behind ``detectable``


def paired(
    a: Sequence[Record], b: Sequence[Record]
) -> tuple[list[tuple[Record, Record]], list[str], list[str]]:
    """Pairs of rows with the same id and variant, and the ids that only one side has.

    Args:
        a: The one side.
        b: The other side.

    Returns:
        The pairs in the order of ``a``, the ids of ``a`` alone, the ids of ``b`` alone.
    """
    theirs = {(r.id, r.variant): r for r in b}
    ours = {(r.id, r.variant) for r in a}
    both, only_a = [], []
    for row in a:
        other = theirs.get((row.id, row.variant))
        if other is None:
            only_a.append(row.id)
        else:
            both.append((row, other))
    only_b = [r.id for r in b if (r.id, r.variant) not in ours]
    return both, only_a, only_b


def holm(p: Mapping[str, float]) -> dict[str, float]:
    """Holm's adjusted p-values of a family of questions.

    Args:
        p: p-values by name.

    Returns:
        Adjusted p-values. Reject those at most alpha: a false alarm in the family then has at most
        probability alpha.

    >>> holm({"a": 0.01, "b": 0.04, "c": 0.03})
    {'a': 0.03, 'c': 0.06, 'b': 0.06}
    """
    adjusted, highest = {}, 0.0
    for i, (name, value) in enumerate(sorted(p.items(), key=lambda item: item[1])):
        highest = max(highest, min(1.0, (len(p) - i) * value))
        adjusted[name] = highest
    return adjusted


@dataclass(frozen=True)
class Error:
    """What a difference to the mean of ``golds`` golds is uncertain by.

    ``rows``: its standard error over groups, of ``degrees`` degrees of freedom, from ``groups``
    groups (of the smaller side). ``between``: standard deviation of the golds' own values (0 with
    one gold). Numbers, or arrays of them.
    """

    rows: Any
    degrees: float
    groups: int
    between: Any = 0.0
    golds: int = 1

    def of_mean(self) -> tuple[Any, Any]:
        """Standard error and degrees of freedom of the difference to the mean of the golds."""
        return self._with(1 / self.golds)

    def of_another(self) -> tuple[Any, Any]:
        """Those of the difference that one more gold would have to the mean of these: its own seed
        counts as well.
        """
        return self._with(1 + 1 / self.golds)

    def _with(self, share: float) -> tuple[Any, Any]:
        """Rows and golds together, with Satterthwaite's degrees of freedom.

        At most two for each gold beyond the first: two golds that happen to agree would else pass
        the whole error for that of the rows (11 false alarms in 100 with two golds, 8 with the
        limit). The sum counts what seeds do to single rows twice: on the safe side.
        """
        if self.golds < 2:
            return self.rows, self.degrees
        rows = np.square(self.rows)
        seeds = share * np.square(self.between)
        total = np.maximum(rows + seeds, 1e-300)
        degrees = total**2 / np.maximum(
            rows**2 / self.degrees + seeds**2 / (self.golds - 1), 1e-300
        )
        return np.sqrt(rows + seeds), np.clip(degrees, 1.0, 2.0 * (self.golds - 1))


def p_of_none(difference: Any, se: Any, degrees: Any, groups: int = 0) -> Any:
    """Two-sided p of no difference at all.

    Where nothing varies (``se`` 0) it is that of the sign test: all of ``groups`` groups moved to
    the same side, 2 * .5^groups.

    Args:
        difference: The difference.
        se: Standard error of the difference.
        degrees: Its degrees of freedom.
        groups: How many groups there are.

    Returns:
        The p-value.
    """
    if np.ndim(se) == 0 and not se:
        if not difference or groups < 1:
            return 1.0
        return min(1.0, 2 * 0.5**groups)
    found = 2 * student.sf(np.abs(difference) / se, degrees)
    return found if np.ndim(found) else float(found)


def reach(se: Any, degrees: Any, alpha: float = ALPHA) -> Any:
    """How far the one-sided 1 - alpha bound lies from the difference.

    Non-inferiority: difference + reach is at most the margin. Equivalence by two one-sided tests:
    |difference| + reach is below it.

    Args:
        se: Standard error of the difference.
        degrees: Its degrees of freedom.
        alpha: The level.

    Returns:
        The distance.
    """
    found = student.ppf(1 - alpha, degrees) * se
    return found if np.ndim(found) else float(found)


def reach_of_constant(difference: float, groups: int, width: float) -> float:
    """``reach`` where every group had the same difference.

    Args:
        difference: The difference.
        groups: How many groups there are.
        width: How far two models can differ: the length of the metric's range.

    Returns:
        The distance: unseen groups that differ may do so by all of ``width``.
    """
    return unseen(groups) * (width + abs(difference))


def widened(margin: float, golds: Sequence[float], *, alpha: float = ALPHA) -> float:
    """The margin, or the spread of golds if that is wider.

    t_(1-alpha) sd sqrt(1 + 1/m) with m - 1 degrees of freedom, at most MOST_WIDENED margins. Fewer
    than FEW_GOLDS golds leave it as it is: with two of them t is 6.3, and the margin would accept
    nearly anything.

    Args:
        margin: The margin.
        golds: The values of the golds.
        alpha: The level.

    Returns:
        The margin, or how far above their mean one more gold would lie at most with probability 1 -
        alpha.
    """
    m = len(golds)
    if m < FEW_GOLDS:
        return margin
    further = float(student.ppf(1 - alpha, m - 1) * np.std(golds, ddof=1) * np.sqrt(1 + 1 / m))
    return min(max(margin, further), MOST_WIDENED * margin)


def detectable(error: Error, margin: float | None, power: float = 0.8) -> float | None:
    """The smallest true difference towards the bad side that the verdict finds.

    The verdict itself is what is simulated: a two-sided p of at most ALPHA on the bad side and,
    where there is a margin, a bound beyond it; rows and golds are drawn anew with the spread that
    was found.

    Args:
        error: What the difference is uncertain by.
        margin: The margin of the metric, if any.
        power: The probability with which it is found.

    Returns:
        The difference; None where nothing varied: then nobody knows.
    """
    if not error.rows or not error.degrees:
        return None
    rng = np.random.default_rng(0)
    rows = error.rows * np.sqrt(rng.chisquare(error.degrees, TRIES) / error.degrees)
    noise = rng.normal(0, error.rows, TRIES)
    seen = Error(rows, error.degrees, error.groups)
    if error.golds > 1:
        free = error.golds - 1
        between = error.between * np.sqrt(rng.chisquare(free, TRIES) / free)
        noise = noise + rng.normal(0, 1, TRIES) * error.between / np.sqrt(error.golds)
        seen = Error(rows, error.degrees, error.groups, between, error.golds)
    (se, degrees), bounds = seen.of_another(), reach(*seen.of_mean())
    needed = reach(se, degrees, ALPHA / 2)  # the least difference that is told with these errors
    if margin is not None:
        needed = np.maximum(needed, margin - bounds)
    return max(0.0, float(np.quantile(needed - noise, power)))
