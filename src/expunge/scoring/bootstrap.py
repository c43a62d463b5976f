"""Intervals over groups, AUC and the two-sample Kolmogorov-Smirnov test: how far a number can be
believed.

The unit is the group (author, entity, document), never the row: twenty questions about one author
are not twenty independent observations. The 95 % interval of a mean comes from the spread of the
groups, with Student's t of groups - 1 degrees of freedom; that of a number in a range known to end
(a share, an AUC) keeps within it. Of what is no mean it is the percentile bootstrap over groups,
made by weights (a draw says how often each group was drawn), stretched for the few groups as t is.
None where there is a single group. Where no group differs from another there is no spread to go by:
the interval is then the exact bound of as many groups that all came out alike, not the value
itself. How often they hold the truth, by number of groups: results/coverage.md.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import beta, ks_2samp, kstwo, norm, rankdata
from scipy.stats import t as student

Interval = tuple[float, float]
Labels = Sequence[str] | np.ndarray

DRAWS = 10_000
LEVEL = 0.95
BLOCK = 1 << 18  # entries of a block of weights: stays in the cache, and bounds the memory


def group_codes(labels: Labels) -> tuple[np.ndarray, tuple[str, ...]]:
    """Group labels -> (code of each row [n], the distinct labels), in order of first appearance.

    Not sorted: labels are hashes under a run's secret, and the draws of a seed must not depend on
    it.
    """
    names = {}
    for i, name in enumerate(dict.fromkeys(np.asarray(labels).tolist())):
        names[name] = i
    return np.array([names[x] for x in np.asarray(labels).tolist()], dtype=np.int64), tuple(names)


def weights(
    n_groups: int, *, draws: int = DRAWS, seed: int = 0, stream: int = 0, wide: int = 0
) -> Iterator[np.ndarray]:
    """How often each group is drawn: blocks of [b, n_groups] whose b sum to ``draws``; each row
    sums to n_groups.

    ``stream`` separates families of groups that are resampled independently of one another under
    one seed. ``wide``: a block has no more rows than would suit that many columns; the draws are
    the same whatever the blocks.
    """
    rng = np.random.default_rng([seed, stream])
    step = max(1, BLOCK // max(n_groups, wide))
    for first in range(0, draws, step):
        b = min(step, draws - first)
        drawn = (
            rng.integers(0, n_groups, (b, n_groups), dtype=np.int32)
            + n_groups * np.arange(b)[:, None]
        )
        yield (
            np.bincount(drawn.ravel(), minlength=b * n_groups)
            .reshape(b, n_groups)
            .astype(np.float64)
        )


def stretch(groups: float) -> float:
    """How much wider an interval of so few groups must be than its percentile bootstrap: t / z, and
    sqrt(G / (G - 1)) for the bootstrap's own bias; 6.5 for 2, 1.25 for 8, 1.05 for 40 groups.
    """
    tail = (1 + LEVEL) / 2
    return float(student.ppf(tail, groups - 1) / norm.ppf(tail) * np.sqrt(groups / (groups - 1)))


def percentile_interval(drawn: np.ndarray, value: float, groups: int) -> Interval:
    """The central 95 % of bootstrap draws [draws] of at least two groups, stretched around
    ``value`` for their number.

    ``groups``: those of the smaller side where several families of groups are drawn.
    """
    lo, hi = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    wider = stretch(groups)
    return value - wider * max(0.0, value - float(lo)), value + wider * max(0.0, float(hi) - value)


def unseen(groups: int) -> float:
    """The largest share of groups unlike the others of which none is seen in ``groups`` with
    probability .05: 1 - .05^(1/groups).

    >>> round(unseen(40), 3)
    0.072
    """
    return float(1 - (1 - LEVEL) ** (1 / groups))


def constant_interval(value: float, groups: int, low: float, high: float) -> Interval:
    """95 % interval of a mean in low..high of which every group had the same ``value``: exact,
    one-sided at the ends of the range.

    >>> [round(x, 3) for x in constant_interval(0.0, 40, 0.0, 1.0)]
    [0.0, 0.072]
    """
    share = unseen(groups)
    return value - share * (value - low), value + share * (high - value)


def ranged_interval(
    value: float, se: float, degrees: float, low: float, high: float, rows: int = 0
) -> Interval:
    """95 % interval of a number in low..high with a standard error > 0: Clopper and Pearson's of as
    many trials as would have that error.

    After Korn and Graubard 1998: n = p (1 - p) / se^2, lowered by (z / t)^2 for the degrees of
    freedom of ``se``. ``rows``: n at most (rows of 0 or 1). It leaves the range at neither end, and
    is wide near them where t +- se is too narrow.
    """
    tail = (1 - LEVEL) / 2
    p = (value - low) / (high - low)
    trials = p * (1 - p) * ((high - low) / se) ** 2
    if rows:
        trials = min(trials, float(rows))
    trials *= (norm.ppf(tail) / student.ppf(tail, degrees)) ** 2
    came = p * trials
    if p <= 0:
        lo = 0.0
    else:
        lo = float(beta.ppf(tail, came, trials - came + 1))
    if p >= 1:
        hi = 1.0
    else:
        hi = float(beta.ppf(1 - tail, came + 1, trials - came))
    return low + (high - low) * min(lo, p), low + (high - low) * max(hi, p)


# ------------------------------------------------------------------ means


def mean_draws(
    columns: np.ndarray, labels: Labels, *, draws: int = DRAWS, seed: int = 0, stream: int = 0
) -> np.ndarray:
    """Bootstrap draws of the means of columns [k, n] that share their rows: [draws, k]."""
    codes, names = group_codes(labels)
    rows = np.bincount(codes, minlength=len(names)).astype(np.float64)
    sums = np.stack([np.bincount(codes, weights=c, minlength=len(names)) for c in columns], axis=1)
    return np.concatenate(
        [
            (w @ sums) / (w @ rows)[:, None]
            for w in weights(len(names), draws=draws, seed=seed, stream=stream)
        ]
    )


def cluster_se(d: np.ndarray, labels: Labels) -> float:
    """Standard error of the mean of d [n], whose rows hang together in G > 1 groups: the jackknife
    that leaves a group out at a time.

    Of groups of one size it is the standard deviation of their means over sqrt(G). 0 where no group
    differs from another.
    """
    codes, names = group_codes(labels)
    sums = np.bincount(codes, weights=d, minlength=len(names))
    sizes = np.bincount(codes, minlength=len(names))
    without = (sums.sum() - sums) / (len(d) - sizes)
    se = float(np.sqrt((len(names) - 1) / len(names) * ((without - d.mean()) ** 2).sum()))
    if se > 1e-12 * max(1.0, float(np.abs(d).max())):
        return se
    return 0.0


def mean_interval(
    values: np.ndarray, labels: Labels, *, low: float | None = None, high: float | None = None
) -> Interval | None:
    """95 % interval of the mean of ``values`` [n] in groups ``labels`` [n]; None for a single
    group.

    ``low``, ``high``: the ends of the range that the values can have, if both are known (of rows
    that are all 0 or 1: 0 and 1). Without them rows that are all alike give the bare value twice.

    >>> [round(x, 2) for x in mean_interval(np.array([0.0, 2.0, 4.0]), ["a", "b", "c"])]
    [-2.97, 6.97]
    """
    values = np.asarray(values, dtype=np.float64)
    groups = len(set(labels))
    if groups < 2:
        return None
    value = float(values.mean())
    se = cluster_se(values, labels)
    binary = bool(np.isin(values, (0.0, 1.0)).all())
    if binary and (low is None or high is None):
        low, high = 0.0, 1.0
    if low is None or high is None:
        far = float(student.ppf((1 + LEVEL) / 2, groups - 1)) * se
        return value - far, value + far
    if not se:
        return constant_interval(value, groups, low, high)
    return ranged_interval(value, se, groups - 1, low, high, len(values) if binary else 0)


def harmonic_mean(parts: Any, axis: int = -1) -> Any:
    """k / sum(1/x); 0 as soon as one part is 0. Parts are >= 0."""
    parts = np.asarray(parts, dtype=np.float64)
    with np.errstate(divide="ignore"):
        return parts.shape[axis] / (1 / parts).sum(axis=axis)


def harmonic_mean_interval(
    families: Mapping[str, tuple[np.ndarray, Labels]], *, draws: int = DRAWS, seed: int = 0
) -> Interval | None:
    """95 % interval of the harmonic mean of the means of all columns; None if some family has a
    single group.

    ``families``: name -> (columns [k, n], group labels [n]). The columns of a family share their
    rows and are drawn together; families are drawn independently of one another.
    """
    if any(len(set(labels)) < 2 for _, labels in families.values()):
        return None
    means = np.concatenate([np.mean(columns, axis=1) for columns, _ in families.values()])
    drawn = [
        mean_draws(c, labels, draws=draws, seed=seed, stream=i)
        for i, (c, labels) in enumerate(families.values())
    ]
    fewest = min(len(set(labels)) for _, labels in families.values())
    return percentile_interval(
        harmonic_mean(np.concatenate(drawn, axis=1)), float(harmonic_mean(means)), fewest
    )


# ------------------------------------------------------------------ area under the ROC curve


def auc(positive: np.ndarray, negative: np.ndarray) -> float:
    """P(positive > negative) + P(equal) / 2: the Mann-Whitney U over n m. [n], [m] -> 0..1.

    >>> auc(np.array([2.0, 1.0]), np.array([1.0, 0.0]))
    0.875
    """
    n = len(positive)
    m = len(negative)
    ranks = rankdata(np.concatenate([positive, negative]))
    return float((ranks[:n].sum() - n * (n + 1) / 2) / (n * m))


def auc_table(
    positive: np.ndarray, codes: np.ndarray, negative: np.ndarray, other: np.ndarray
) -> np.ndarray:
    """Mann-Whitney counts by pairs of groups: entry [g, h] counts the wins of group g over group h,
    a tie as a half.
    """
    columns = []
    for h in range(int(other.max()) + 1):
        rivals = np.sort(negative[other == h])
        wins = (
            np.searchsorted(rivals, positive, "left") + np.searchsorted(rivals, positive, "right")
        ) / 2
        columns.append(np.bincount(codes, weights=wins))
    return np.stack(columns, axis=1)


def auc_draws(
    positive: np.ndarray,
    labels: Labels,
    negative: np.ndarray,
    others: Labels,
    *,
    draws: int = DRAWS,
    seed: int = 0,
    stream: int = 0,
) -> np.ndarray:
    """Bootstrap draws of the AUC, both sides resampled by their groups: [draws].

    Two models scored on the same rows with the same seed and stream are drawn together, so that
    their draws are paired.
    """
    (g, g_names), (h, h_names) = group_codes(labels), group_codes(others)
    table = auc_table(positive, g, negative, h)
    n = np.bincount(g).astype(float)
    m = np.bincount(h).astype(float)
    wide = max(len(g_names), len(h_names))
    ws = weights(len(g_names), draws=draws, seed=seed, stream=2 * stream, wide=wide)
    vs = weights(len(h_names), draws=draws, seed=seed, stream=2 * stream + 1, wide=wide)
    return np.concatenate(
        [((w @ table) * v).sum(1) / ((w @ n) * (v @ m)) for w, v in zip(ws, vs, strict=True)]
    )


def auc_residuals(
    positive: np.ndarray, labels: Labels, negative: np.ndarray, others: Labels
) -> tuple[np.ndarray, np.ndarray]:
    """What the AUC owes to each group of either side: [G] and [H], (G - 1) / G of how far it moves
    when the group is left out.

    Of groups of one size these are the residuals of Obuchowski 1997. Of others they are larger
    where a group is: a group that is most of its side makes the AUC and would hardly stand out from
    it. Those of a difference of AUCs on the same rows are the differences of these.
    """
    (g, _), (h, _) = group_codes(labels), group_codes(others)
    table = auc_table(positive, g, negative, h)
    n = np.bincount(g)
    m = np.bincount(h)
    value = table.sum() / (n.sum() * m.sum())
    ours = (table.sum(1) - n * m.sum() * value) / ((n.sum() - n) * m.sum())
    theirs = (table.sum(0) - m * n.sum() * value) / ((m.sum() - m) * n.sum())
    return ours * (len(n) - 1) / len(n), theirs * (len(m) - 1) / len(m)


def se_of_residuals(ours: np.ndarray, theirs: np.ndarray) -> tuple[float, float]:
    """Standard error of a statistic of two sides of groups, and its degrees of freedom
    (Satterthwaite); both sides have at least two.
    """
    parts = [
        len(r) / (len(r) - 1) * float((r**2).sum()) * len(r) / (len(r) - 1) for r in (ours, theirs)
    ]
    both = sum(parts)
    if both < 1e-24:
        return 0.0, float(min(len(ours), len(theirs)) - 1)
    degrees = both**2 / sum(v**2 / (len(r) - 1) for v, r in zip(parts, (ours, theirs), strict=True))
    return float(np.sqrt(both)), float(degrees)


def auc_interval(
    positive: np.ndarray, labels: Labels, negative: np.ndarray, others: Labels
) -> Interval | None:
    """95 % interval of the AUC; None if either side has a single group.

    Complete separation has the exact bound of the smaller side.
    """
    fewest = min(len(set(labels)), len(set(others)))
    if fewest < 2:
        return None
    value = auc(positive, negative)
    se, degrees = se_of_residuals(*auc_residuals(positive, labels, negative, others))
    if not se:
        return constant_interval(value, fewest, 0.0, 1.0)
    return ranged_interval(value, se, degrees, 0.0, 1.0)


FPRS = (0.01, 0.05)


def operating_points(
    positive: np.ndarray,
    labels: Labels,
    negative: np.ndarray,
    others: Labels,
    *,
    draws: int = 2000,
    seed: int = 0,
) -> dict[str, float]:
    """True positive rates at fixed false positive rates f: ``tpr/f``, ``tpr/f/low``, ``/high``.

    The share of ``positive`` above a threshold that at most a share f of ``negative`` is above.
    The threshold is one of the negative scores and only what lies above it counts, so ties and the
    steps between two rows never help, and nothing is interpolated: with m negative rows the share
    is a multiple of 1/m at most f. Where f < 1/m it is left out, and ``least_fpr`` = 1/m says so.
    The 95 % interval draws the groups of both sides, with a threshold of its own in every draw;
    none where a side has a single group.
    """
    points = np.unique(negative)
    (g, g_names), (h, h_names) = group_codes(labels), group_codes(others)
    told = _counts_above(positive, g, len(g_names), points)
    false = _counts_above(negative, h, len(h_names), points)
    sizes = np.bincount(g).astype(float), np.bincount(h).astype(float)

    kept = [f for f in FPRS if f * len(negative) >= 1 - 1e-9]

    def shares(w: np.ndarray, v: np.ndarray) -> np.ndarray:
        wrong = (v @ false) / (v @ sizes[1])[:, None]
        right = (w @ told) / (w @ sizes[0])[:, None]
        # the lowest threshold that is strict enough
        at = np.stack([(wrong <= f + 1e-12).argmax(1) for f in kept], 1)
        return np.take_along_axis(right, at, 1)

    if not kept:
        return {"least_fpr": 1 / len(negative)}
    values = shares(np.ones((1, len(g_names))), np.ones((1, len(h_names))))[0]
    found = {f"tpr/{f}": float(x) for f, x in zip(kept, values, strict=True)}
    if min(len(g_names), len(h_names)) > 1:
        wide = max(len(g_names), len(h_names), len(points))
        ws, vs = (
            weights(len(names), draws=draws, seed=seed, stream=i, wide=wide)
            for i, names in enumerate((g_names, h_names))
        )
        drawn = np.concatenate([shares(w, v) for w, v in zip(ws, vs, strict=True)])
        for i, f in enumerate(kept):
            fewest = min(len(g_names), len(h_names))
            lo, hi = percentile_interval(drawn[:, i], float(values[i]), fewest)
            if lo == hi:
                lo, hi = constant_interval(float(values[i]), fewest, 0.0, 1.0)
            found[f"tpr/{f}/low"], found[f"tpr/{f}/high"] = max(0.0, lo), min(1.0, hi)
    if len(kept) == len(FPRS):
        return found
    return {**found, "least_fpr": 1 / len(negative)}


def _counts_above(x: np.ndarray, codes: np.ndarray, groups: int, points: np.ndarray) -> np.ndarray:
    """How many values of each group lie above each point: [groups, points]."""
    counts = np.empty((groups, len(points)))
    for k in range(groups):
        counts[k] = (x[codes == k, None] > points).sum(0)
    return counts


# ------------------------------------------------------------------ two-sample Kolmogorov-Smirnov


def ks_pvalue(x: np.ndarray, y: np.ndarray) -> float:
    """p-value of the two-sided two-sample KS test, as scipy.stats.ks_2samp gives it (exact up to 10
    000 rows).

    The lowest for n against n rows (complete separation): 1.9e-23 for 40, 1.94e-119 for 200,
    1.06e-239 for 400.
    """
    # at a distance of about 1/n the exact p rounds above 1, and scipy goes to the limit law by
    # itself
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", "ks_2samp: Exact calculation unsuccessful", RuntimeWarning
        )
        return float(ks_2samp(x, y).pvalue)


def ks_pvalue_of_distance(d: float, n: int, m: int) -> float:
    """p-value of a KS distance between samples of n and m rows: exact when n = m, else asymptotic.

    The exact one is had from two samples made to have that distance: 0..n-1 against itself moved by
    d n places.
    """
    if n == m:
        x = np.arange(n, dtype=np.float64)
        if round(d * n):
            return ks_pvalue(x, x + round(d * n) - 0.5)
        return 1.0
    return float(kstwo.sf(d, max(1, round(n * m / (n + m)))))


def _step_table(
    values: np.ndarray, codes: np.ndarray, n_groups: int, points: np.ndarray
) -> np.ndarray:
    """How many rows of each group lie at or below each point: [n_groups, points], float32 (counts
    are exact in it).
    """
    table = np.zeros((n_groups, len(points)), dtype=np.float32)
    np.add.at(table, (codes, np.searchsorted(points, values)), 1)
    return np.cumsum(table, axis=1, dtype=np.float32)


def ks_distance_draws(
    x: np.ndarray,
    labels: Labels,
    y: np.ndarray,
    others: Labels,
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> np.ndarray:
    """Bootstrap draws of the KS distance: [draws].

    Equal sets of groups (one set of rows, two models) are drawn together.
    """
    (g, g_names), (h, h_names) = group_codes(labels), group_codes(others)
    points = np.unique(np.concatenate([x, y]))
    below_x = _step_table(x, g, len(g_names), points)
    below_y = _step_table(y, h, len(h_names), points)
    wide = max(len(points), len(g_names), len(h_names))
    ws = weights(len(g_names), draws=draws, seed=seed, stream=0, wide=wide)
    vs = weights(
        len(h_names), draws=draws, seed=seed, stream=0 if g_names == h_names else 1, wide=wide
    )
    found = []
    for w, v in zip(ws, vs, strict=True):
        cdf_x = w.astype(np.float32) @ below_x
        cdf_y = v.astype(np.float32) @ below_y
        found.append(np.abs(cdf_x / cdf_x[:, -1:] - cdf_y / cdf_y[:, -1:]).max(axis=1))
    return np.concatenate(found)


def ks_interval(
    x: np.ndarray,
    labels: Labels,
    y: np.ndarray,
    others: Labels,
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> Interval | None:
    """95 % interval of the KS p-value, through that of the distance (p falls in it); None if either
    side has a single group.
    """
    if len(set(labels)) < 2 or len(set(others)) < 2:
        return None
    drawn = ks_distance_draws(x, labels, y, others, draws=draws, seed=seed)
    fewest = min(len(set(labels)), len(set(others)))
    lo, hi = percentile_interval(drawn, float(ks_2samp(x, y, method="asymp").statistic), fewest)
    p = np.array([ks_pvalue_of_distance(d, len(x), len(y)) for d in (min(1.0, hi), max(0.0, lo))])
    value = ks_pvalue(x, y)
    return min(float(p[0]), value), max(float(p[1]), value)
