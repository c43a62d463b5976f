"""Two models on the same rows: how sure a difference of means is, how far its bounds lie, and how small a difference could be seen.

Rows are paired by id and hang together in groups; the standard error over groups carries Student's t with groups - 1 degrees of freedom.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.stats import t as student

from expunge.core.records import Record
from expunge.maths.statistics import Labels, group_codes


def paired(a: Sequence[Record], b: Sequence[Record]) -> tuple[list[tuple[Record, Record]], list[str], list[str]]:
    """Rows of the same id and variant, in the order of ``a``; and the ids that only one side has."""
    theirs = {(r.id, r.variant): r for r in b}
    ours = {(r.id, r.variant) for r in a}
    both = [(r, theirs[r.id, r.variant]) for r in a if (r.id, r.variant) in theirs]
    only = lambda rows, other: [r.id for r in rows if (r.id, r.variant) not in other]
    return both, only(a, theirs), only(b, ours)


def cluster_se(d: np.ndarray, labels: Labels) -> float:
    """Standard error of a mean whose rows hang together in G > 1 groups: sqrt(G/(G-1) sum_g (sum of residuals)^2) / n."""
    codes, names = group_codes(labels)
    sums = np.bincount(codes, weights=d - d.mean(), minlength=len(names))
    g = len(names)
    return float(np.sqrt(g / (g - 1) * (sums**2).sum()) / len(d))


def holm(p: Mapping[str, float]) -> dict[str, float]:
    """Holm's adjusted p-values of a family of questions: reject those at most alpha, and one false alarm in the family is that rare.

    >>> holm({"a": 0.01, "b": 0.04, "c": 0.03})
    {'a': 0.03, 'c': 0.06, 'b': 0.06}
    """
    adjusted, highest = {}, 0.0
    for i, (name, value) in enumerate(sorted(p.items(), key=lambda item: item[1])):
        highest = max(highest, min(1.0, (len(p) - i) * value))
        adjusted[name] = highest
    return adjusted


def p_of_none(difference: float, se: float, groups: int) -> float:
    """Two-sided p of no difference at all, of at least two groups."""
    return float(2 * student.sf(abs(difference) / se, groups - 1)) if se else float(difference == 0)


def reach(se: float, groups: int, alpha: float = 0.05) -> float:
    """How far the one-sided 1 - alpha bound lies from the difference; at least two groups.

    Non-inferiority: difference + reach is at most the margin. Equivalence by two one-sided tests: |difference| + reach is below it.
    """
    return float(student.ppf(1 - alpha, groups - 1) * se)


def widened(delta: float, golds: Sequence[float], *, alpha: float = 0.05) -> float:
    """The margin, or how far above their mean one more gold would lie at most with probability 1 - alpha, if that is wider.

    t_(1-alpha) sd sqrt(1 + 1/m) with m - 1 degrees of freedom; a single gold tells nothing of it and leaves ``delta``.
    """
    m = len(golds)
    if m < 2:
        return delta
    return max(delta, float(student.ppf(1 - alpha, m - 1) * np.std(golds, ddof=1) * np.sqrt(1 + 1 / m)))


def detectable(se: float, groups: int, alpha: float = 0.05, power: float = 0.8) -> float:
    """The least true difference that a one-sided test at alpha finds with that power: (t_(1-alpha) + t_power) se, G - 1 degrees."""
    return float((student.ppf(1 - alpha, groups - 1) + student.ppf(power, groups - 1)) * se)
