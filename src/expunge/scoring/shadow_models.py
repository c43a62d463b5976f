"""Several unlearned models beside several golds, row by row: margins of the right answer, and how
well the two sides can be told apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from expunge.core.results import Record, Records
from expunge.scoring.per_row import lacking, logit_of, not_finite

OPTIONS = {"gold": "--gold A,B,...", "shadow": "--shadow A,B,..."}


def margins_of_sides(
    records: Records,
    gold: Records | None,
    rows: Sequence[Record],
    *,
    least: int = 2,
    clip: float = np.inf,
) -> dict[str, np.ndarray] | str:
    """The margins of the unlearned models and of the golds.

    The margin of a row is the logit of its probability per token.

    Args:
        records: The records of the judged model, with those of its ``shadow`` models.
        gold: The records of the golds.
        rows: The rows.
        least: How many models a side must have.
        clip: The largest margin, on both sides.

    Returns:
        Margins [models, rows] by side, the judged model first; or the reason why not.
    """
    sides: dict[str, list[Records]] = {"gold": [], "shadow": [records]}
    for name in gold.subjects() if gold is not None else ():
        if gold is not None and name.split("/")[0] in sides:
            sides[name.split("/")[0]].append(gold.only(name))
    for kind, option in OPTIONS.items():
        if len(sides[kind]) < least:
            number = {2: "two", 3: "three"}.get(least, str(least))
            return f"needs at least {number} models of either side; give {option}"
    tables = {}
    for kind, models in sides.items():
        found = []
        for m in models:
            found.append(_margins(m, [(r.role, r.id) for r in rows], clip))
        reason = next((f for f in found if isinstance(f, str)), None)
        if reason:
            return f"{kind}: {reason}"
        tables[kind] = np.array(found)
    return tables


def _margins(records: Records, keys: list[tuple[str, str]], clip: float) -> list[float] | str:
    """The margin of each row, or the reason why there is none."""
    rows = {}
    for role in dict.fromkeys(role for role, _ in keys):
        for r in records.of(role):
            rows[r.role, r.id] = r
    missing = sum(k not in rows for k in keys)
    if missing:
        return f"no record of {missing} of {len(keys)} rows"
    own = [rows[k] for k in keys]
    reason = lacking(own, own[0].role, "", ("loss",))
    x = np.array([] if reason else [logit_of(r) for r in own])
    return reason or not_finite(x, own[0].role) or np.clip(x, -clip, clip).tolist()


# ------------------------------------------------------------------ epsilon


def epsilon_of(
    false_positive: np.ndarray, false_negative: np.ndarray, delta: float = 0.0
) -> np.ndarray:
    """The epsilon that attacks with given error rates show.

    max(log((1 - delta - fpr) / fnr), log((1 - delta - fnr) / fpr)), at least 0.

    Args:
        false_positive: False positive rates, [n].
        false_negative: False negative rates, [n].
        delta: The delta of differential privacy.

    Returns:
        Epsilons, [n], in nats. Infinite where both rates are 0; NaN where one of them is: so few
        models cannot say how small it is.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        both = []
        for x, y in ((false_positive, false_negative), (false_negative, false_positive)):
            both.append(np.log(1 - delta - x) - np.log(y))
    best = np.maximum(np.fmax(*both), 0.0)
    right = (false_positive == 0) & (false_negative == 0)
    return np.where(
        right, np.inf, np.where((false_positive == 0) | (false_negative == 0), np.nan, best)
    )


def most_epsilon(n: int, m: int, delta: float = 0.0) -> float:
    """The largest finite epsilon that so many models can show.

    Args:
        n: Models of the one side.
        m: Models of the other side.
        delta: The delta of differential privacy.

    Returns:
        About the log of their number: one model of each side taken for the other.
    """
    return float(epsilon_of(np.array([1 / n, 1 / m]), np.array([1 / m, 1 / n]), delta).max())


def told_apart(
    x: np.ndarray, y: np.ndarray, delta: float = 0.0, *, room: float = 2.0, narrow: float = 0.01
) -> float:
    """The largest epsilon of two samples over attacks by threshold.

    One threshold: from it on upwards is the sample of the larger median. Two: what lies between
    them is of the sample with the narrower range; the upper one lies within ``room`` of that
    range's end, and their distance within ``room`` of its width. A sample whose range is less than
    ``narrow`` of the other's is told apart by that.

    Args:
        x: The one sample, [n].
        y: The other sample, [m].
        delta: The delta of differential privacy.
        room: How far the upper threshold may lie from the end of the narrower range, and the
            distance of the two from its width.
        narrow: The ratio of ranges below which the narrower sample is recognized by its range.

    Returns:
        The epsilon; infinite if a threshold separates the samples, 0 if none says anything.
    """
    wide, slim = (x, y) if np.ptp(x) > np.ptp(y) else (y, x)
    if np.ptp(slim) < narrow * np.ptp(wide):
        return float("inf")
    at = np.unique(np.concatenate([x, y]))

    def up_to(sample: np.ndarray, side: Literal["left", "right"]) -> np.ndarray:
        """How many values of a sample lie below each point (left), or at most at it (right)."""
        return np.searchsorted(np.sort(sample), at, side)

    above, below = (x, y) if np.median(x) > np.median(y) else (y, x)
    one = epsilon_of(
        1 - up_to(below, "left") / len(below), up_to(above, "left") / len(above), delta
    )
    # where thresholds may lie that cut like (at[i], at[j]): the lower one up to at[i], the upper
    # one from at[j] on, until the next value
    lower = np.stack([np.concatenate([[-np.inf], at[:-1]]), at]) - slim.min()
    upper = np.clip(np.stack([at, np.concatenate([at[1:], [np.inf]])]) - slim.max(), -room, room)
    there = (
        np.maximum(lower[0][:, None] - upper[1][None, :], upper[0][None, :] - lower[1][:, None])
        <= room
    )
    there &= (at <= slim.max() + room) & (np.concatenate([at[1:], [np.inf]]) >= slim.max() - room)

    def between(sample: np.ndarray) -> np.ndarray:
        """The share of a sample between each pair of thresholds."""
        counts = up_to(sample, "right")[None, :] - up_to(sample, "left")[:, None]
        return np.maximum(counts, 0)[there] / len(sample)

    two = epsilon_of(between(wide), 1 - between(slim), delta)
    found = np.concatenate([one, two])
    if np.isnan(found).all():
        return 0.0
    return float(np.nanmax(found))
