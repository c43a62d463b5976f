"""The judged model beside gold, metric by metric: the paired difference, whether it is worse,
whether it is equal, what could be seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from scipy.stats import t as student

from expunge.core.results import Measurement, Records
from expunge.evaluation.metric import Judge
from expunge.report.beside import Beside, Side, caveats
from expunge.scoring.bootstrap import (
    LEVEL,
    auc,
    auc_residuals,
    cluster_se,
    constant_interval,
    se_of_residuals,
)
from expunge.scoring.per_row import is_unlearned
from expunge.scoring.significance import (
    Error,
    detectable,
    holm,
    p_of_none,
    reach,
    reach_of_constant,
    widened,
)

FEWEST = 3  # groups; two that happen to agree would look like certainty
Key = tuple[str, str]


def compared(
    judges: Sequence[Judge], results: Mapping[str, Measurement], others: Records | None
) -> dict[str, Beside]:
    """By key every measurement that is a mean over rows or a membership score, against the mean of
    the golds; {} without gold.

    Rows are paired by id and hang together in groups. Each verdict is about its metric alone: how
    large the difference is, with its own interval and p. A question more can therefore never hide a
    leak that another metric shows. The price is known: of metrics in which the model is as gold one
    in twenty is said to differ, and how many remain when all of a side are one family (Holm: what
    is unlearned; what is kept) is told beside them, not put in place of the verdicts. Rows that no
    model saw (holdout) are a control: they say whether the models differ at all, and belong to
    neither family.
    """
    names = [
        s for s in (others.subjects() if others is not None else []) if s.split("/")[0] == "gold"
    ]
    found: dict[str, Beside] = {}
    for judge in judges if others is not None and names else ():
        meant = "others" not in judge.card.needs and (
            judge.role or "membership" in judge.card.family
        )
        own = results[judge.key].each if meant else {}
        theirs = (
            [judge(others.only(name), others).each for name in names]
            if own and others is not None
            else []
        )
        rows = [key for key in own if all(key in t for t in theirs)]
        if rows:
            x, y = (
                np.array([own[k][0] for k in rows]),
                np.array([[t[k][0] for k in rows] for t in theirs]),
            )
            beside = (_means if judge.role else _aucs)(judge, rows, [own[k][1] for k in rows], x, y)
            found[judge.key] = replace(
                beside, unmatched=len({k for t in (own, *theirs) for k in t}) - len(rows)
            )
    for side in ("unlearned", "kept"):
        p = holm({k: b.p for k, b in found.items() if b.side == side and b.p is not None})
        found |= {k: replace(found[k], p_holm=x) for k, x in p.items()}
    return found


def as_json(beside: Mapping[str, Beside], golds: int) -> dict[str, Any]:
    """comparison.json: the schema's number, how many golds, what must be known of it, and by key
    every field of ``Beside`` and what follows from them.
    """
    rows = {}
    for key, b in beside.items():
        said = {"gold": b.gold, "verdict": b.verdict, "flags": b.flags, "warning": b.warning}
        rows[key] = {**asdict(b), **said}
    return {"schema": 1, "golds": golds, "caveats": caveats(beside.values()), "rows": rows}


def side_of(role: str) -> Side:
    """What gold's value is to a role: the target, the least, or a control (rows that neither model
    saw).
    """
    return (
        "control"
        if role.split("_")[0] == "holdout"
        else "unlearned"
        if is_unlearned(role)
        else "kept"
    )


def _means(
    judge: Judge, rows: Sequence[Key], labels: Sequence[str], x: np.ndarray, y: np.ndarray
) -> Beside:
    """Means over rows: x [n] of the model, y [golds, n]."""
    d, groups = x - y.mean(0), len(set(labels))
    golds = tuple(y.mean(1).tolist())
    found = Beside(
        float(x.mean()),
        golds,
        side_of(judge.role or ""),
        float(d.mean()),
        None,
        n=len(d),
        groups=groups,
    )
    if groups < 2:
        return found
    error = Error(cluster_se(d, labels), groups - 1, groups, _spread(golds), len(golds))
    return _decided(judge, found, error)


def _aucs(
    judge: Judge, rows: Sequence[Key], labels: Sequence[str], x: np.ndarray, y: np.ndarray
) -> Beside:
    """AUCs of forget against holdout rows: x [n] of the model, y [golds, n]."""
    forget, groups = np.array([role == "forget" for role, _ in rows]), np.array(labels)
    ours, theirs = groups[forget], groups[~forget]
    own, *golds = (auc(s[forget], s[~forget]) for s in (x, *y))
    sides = [len(set(ours)), len(set(theirs))]
    difference = own - float(np.mean(golds))
    found = Beside(
        own,
        tuple(golds),
        "unlearned",
        difference,
        None,
        n=len(rows),
        groups=sum(sides),
        fewest=min(sides),
    )
    if min(sides) < 2:
        return found
    mine, *of_golds = (auc_residuals(s[forget], ours, s[~forget], theirs) for s in (x, *y))
    apart = [mine[i] - np.mean([r[i] for r in of_golds], axis=0) for i in (0, 1)]
    se, degrees = se_of_residuals(*apart)
    return _decided(judge, found, Error(se, degrees, min(sides), _spread(golds), len(golds)))


def _spread(golds: Sequence[float]) -> float:
    return float(np.std(golds, ddof=1)) if len(golds) > 1 else 0.0


def _decided(judge: Judge, b: Beside, error: Error) -> Beside:
    """The interval, and what the errors decide if there are groups enough."""
    unit = judge.unit
    width = unit.high - unit.low if unit.low is not None and unit.high is not None else None
    constant = not error.rows
    if constant and width is None:
        return replace(b, constant=True)
    se, degrees = error.of_mean()
    if width is not None and constant:
        ends, further = (
            constant_interval(b.difference, error.groups, -width, width),
            reach_of_constant(b.difference, error.groups, width),
        )
    else:
        far, further = float(student.ppf((1 + LEVEL) / 2, degrees) * se), reach(se, degrees)
        ends = (float(b.difference - far), float(b.difference + far))
    if width is not None:
        ends = (max(ends[0], -width), min(ends[1], width))
    b = replace(b, interval=ends, constant=constant)
    if error.groups < FEWEST:
        return b
    margin = None if unit.margin is None else widened(unit.margin, b.golds)
    another = error.of_another()
    b = replace(
        b,
        p=p_of_none(b.difference, *another, groups=error.groups),
        detectable=detectable(error, margin),
    )
    if margin is None:
        return b
    # rows that never vary are no evidence that models are equal
    equal = abs(b.difference) + further < margin and not constant
    bound = (-b.difference if b.side == "kept" else b.difference) + further
    # else nobody knows which side of gold is the bad one
    one_sided = judge.card.grows == "knowledge" and b.side != "control"
    b = replace(b, margin=margin, widened=margin != unit.margin, equal=bool(equal))
    return replace(b, bound=float(bound), not_worse=bool(bound <= margin)) if one_sided else b
