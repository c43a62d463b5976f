"""From one number per row to a Measurement: value, n, groups, interval, or the reason why there is
none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from expunge.core.results import Better, Measurement, Record, Records, unscored, values
from expunge.scoring.bootstrap import auc, auc_interval, mean_interval, operating_points
from expunge.scoring.per_row import is_unlearned, lacking, no_rows, not_finite
from expunge.scoring.representation import share_lost


def better_for(role: str) -> Better:
    """Which values are better for how well a role is known.

    Args:
        role: The role.

    Returns:
        Like gold on forget and holdout, higher elsewhere.
    """
    return "gold" if is_unlearned(role) else "higher"


def groups_of(rows: Sequence[Record]) -> list[str]:
    """The group of each row: the labels of the cluster bootstrap.

    Args:
        rows: The rows.

    Returns:
        A label per row.
    """
    return [r.group for r in rows]


def mean_measurement(x: np.ndarray, rows: Sequence[Record], better: Better) -> Measurement:
    """The mean over rows with its clustered interval.

    Args:
        x: A value per row, [n].
        rows: The rows.
        better: Which values are better.

    Returns:
        The measurement; unscored if a value is not finite.
    """
    reason = not_finite(x, rows[0].role)
    if reason:
        return unscored(reason, better)
    groups = groups_of(rows)
    return Measurement(
        float(np.mean(x)),
        len(x),
        len(set(groups)),
        mean_interval(x, groups),
        better,
        each=each_of(rows, x),
    )


def each_of(rows: Sequence[Record], x: np.ndarray) -> dict[tuple[str, str], tuple[float, str]]:
    """The values of rows by role and id.

    Args:
        rows: The rows.
        x: A value per row, [n].

    Returns:
        (role, id) -> (value, group).
    """
    return {(r.role, r.id): (float(v), r.group) for r, v in zip(rows, x, strict=True)}


def role_mean(
    records: Records,
    role: str,
    name: str,
    fn: Callable[[Record], float],
    fields: Sequence[str],
    variant: str = "answer",
    kept: Better = "higher",
) -> Measurement:
    """A per-row score averaged over one role.

    Args:
        records: The records of the judged model.
        role: The role.
        name: The name of the metric.
        fn: The score of a row.
        fields: The fields of a row that the score reads.
        variant: The variant of the rows.
        kept: Which values are better on roles that are to be kept.

    Returns:
        The measurement, or the reason why there is none.
    """
    rows = records.of(role, variant)
    better = better_for(role)
    better = kept if better == "higher" else better
    reason = lacking(rows, role, name, fields)
    if reason:
        return unscored(reason, better)
    return mean_measurement(values(rows, name, fn), rows, better)


def given_mean(
    records: Records, role: str, name: str, reason: str, kept: Better = "higher"
) -> Measurement:
    """The mean of a per-row value that another model gave.

    Args:
        records: The records of the judged model.
        role: The role.
        name: The name of the value.
        reason: Why there is none where it is missing.
        kept: Which values are better on roles that are to be kept.

    Returns:
        The measurement.
    """
    rows = records.of(role)
    better = better_for(role)
    better = kept if better == "higher" else better
    if not rows:
        return unscored(no_rows(role), better)
    if any(name not in r.given for r in rows):
        return unscored(reason, better)
    return mean_measurement(np.array([r.given[name] for r in rows], dtype=np.float64), rows, better)


def membership(
    records: Records,
    name: str,
    fn: Callable[[Record], float],
    fields: Sequence[str],
    sides: tuple[str, str] = ("forget", "holdout"),
) -> tuple[list[Record], np.ndarray, list[Record], np.ndarray] | str:
    """Membership scores of forget and holdout rows; higher is more likely a member.

    Args:
        records: The records of the judged model.
        name: The name of the metric.
        fn: The score of a row.
        fields: The fields of a row that the score reads.
        sides: The two roles.

    Returns:
        Rows and scores of each side, or the reason why not.
    """
    forget, holdout = (records.of(role) for role in sides)
    absent = [no_rows(role) for role, rows in ((sides[1], holdout), (sides[0], forget)) if not rows]
    if absent:
        return absent[0]
    scores = []
    for role, rows in ((sides[0], forget), (sides[1], holdout)):
        reason = lacking(rows, role, name, fields)
        scores.append(np.empty(0) if reason else values(rows, name, fn))
        reason = reason or not_finite(scores[-1], role)
        if reason:
            return reason
    return forget, scores[0], holdout, scores[1]


def membership_auc(
    records: Records, name: str, fn: Callable[[Record], float], fields: Sequence[str]
) -> Measurement:
    """P(score of a forget row > score of a holdout row), ties count half.

    Args:
        records: The records of the judged model.
        name: The name of the metric.
        fn: The score of a row.
        fields: The fields of a row that the score reads.

    Returns:
        The measurement, with its interval over groups of both sides; parts: see
        ``operating_points``.
    """
    found = membership(records, name, fn, fields)
    if isinstance(found, str):
        return unscored(found, "gold")
    forget, x, holdout, y = found
    g = groups_of(forget)
    h = groups_of(holdout)
    sides = (len(set(g)), len(set(h)))
    each = each_of(forget, x) | each_of(holdout, y)
    points = operating_points(x, g, y, h)
    interval = auc_interval(x, g, y, h)
    return Measurement(
        auc(x, y),
        len(x) + len(y),
        sum(sides),
        interval,
        "gold",
        parts=points,
        each=each,
        fewest=min(sides),
    )


def without_gold(
    records: Records,
    gold: str = "needs the records of a model that never saw the forget set; give --gold",
) -> str:
    """The reason where a metric of forget and holdout rows has no gold.

    Args:
        records: The records of the judged model.
        gold: What to say of the gold.

    Returns:
        The reason; it names missing holdout rows too.
    """
    return gold if records.of("holdout") else f"{gold} and --holdout (no rows of role holdout)"


def beside_gold(
    records: Records, gold: Records | None, role: str, fields: Sequence[str]
) -> list[tuple[Record, Record]] | str:
    """The rows of a role with gold's records of the same rows, by id.

    Args:
        records: The records of the judged model.
        gold: The records of gold.
        role: The role.
        fields: The fields that both must hold.

    Returns:
        Pairs of rows, or the reason why not.
    """
    if gold is None:
        return "needs the records of a model that never saw the forget set; give --gold"
    rows = records.of(role)
    theirs = {r.id: r for r in gold.of(role)}
    missing = sum(r.id not in theirs for r in rows)
    reason = lacking(rows, role, "", fields)
    if reason:
        return reason
    if missing:
        return f"gold: no record of {missing} of {len(rows)} rows of role {role}"
    pairs = [(r, theirs[r.id]) for r in rows]
    reason = lacking([g for _, g in pairs], role, "", fields)
    return f"gold: {reason}" if reason else pairs


def depth_score(
    records: Records, gold: Records | None, field: str, threshold: float, nothing: str
) -> Measurement:
    """Mean share of what gold's states lack that this model's lack, too.

    Args:
        records: The records of the judged model.
        gold: Of a model that never saw the rows.
        field: What the original loses of a row as a block puts out other states: [blocks], nats a
            token, or empty where nothing of the row was asked.
        threshold: Blocks at which gold lacks no more than this are left out; nats a token.
        nothing: Why there is no value if no row was asked.

    Returns:
        0 = intact, 1 = as gold, over the forget rows of which gold lacks something
        (``share_lost``).
    """
    rows = records.of("forget")
    if not rows:
        return unscored(no_rows("forget"), 1.0)
    if gold is not None and any(field not in row.observed for row in rows):
        return unscored(
            "needs the model before unlearning, into which states are patched; give --original", 1.0
        )
    pairs = beside_gold(records, gold, "forget", (field,))
    if isinstance(pairs, str):
        return unscored(pairs, 1.0)
    asked = [(row, other) for row, other in pairs if len(row.observed[field])]
    if not asked:
        return unscored(nothing, 1.0)
    kept: list[Record] = []
    scores: list[float] = []
    for row, other in asked:
        mine = row.observed[field].astype(np.float64)
        theirs = other.observed[field].astype(np.float64)
        if mine.shape != theirs.shape:
            return unscored(f"gold has {len(theirs)} blocks, this model {len(mine)}", 1.0)
        score = share_lost(mine, theirs, threshold)
        if score is not None:
            kept.append(row)
            scores.append(score)
    if not kept:
        return unscored(
            f"gold lacks no more than {threshold} nats a token at any layer of any row: it knows "
            f"what is to be forgotten",
            1.0,
        )
    return mean_measurement(np.array(scores), kept, 1.0)
