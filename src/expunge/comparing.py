"""The judged model beside gold, metric by metric: the paired difference, whether it is worse, whether it is equal, what could be seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from expunge.core.records import Records
from expunge.core.types import Measurement
from expunge.engine.judge import Judge
from expunge.maths.comparison import cluster_se, detectable, holm, p_of_none, reach, widened
from expunge.maths.scores import is_unlearned
from expunge.maths.statistics import auc, auc_draws, mean_interval, percentile_interval
from expunge.report.beside import Beside

FEWEST = 3  # groups; two that happen to agree would look like certainty


def compared(judges: Sequence[Judge], results: Mapping[str, Measurement], others: Records | None) -> dict[str, Beside]:
    """By key every measurement that is a mean over rows or a membership score, against the mean of the golds; {} without gold.

    Rows are paired by id and resampled by group. With several golds the margin is widened to how far one more gold may lie.
    """
    names = [s for s in (others.subjects() if others is not None else []) if s.split("/")[0] == "gold"]
    found: dict[str, Beside] = {}
    for judge in judges if others is not None and names else ():
        meant = "others" not in judge.card.needs and (judge.role or "membership" in judge.card.family)
        own = results[judge.key].each if meant else {}
        theirs = [judge(others.only(name), others).each for name in names] if own and others is not None else []
        rows = [key for key in own if all(key in t for t in theirs)]
        if rows:
            x, y = np.array([own[k][0] for k in rows]), np.array([[t[k][0] for k in rows] for t in theirs])
            beside = (_means if judge.role else _aucs)(judge, rows, [own[k][1] for k in rows], x, y)
            found[judge.key] = replace(beside, unmatched=len({k for t in (own, *theirs) for k in t}) - len(rows))
    for side in ("unlearned", "kept"):
        p = holm({k: b.p for k, b in found.items() if b.side == side and b.p is not None})
        found |= {k: replace(found[k], p_holm=x) for k, x in p.items()}
    return found


def as_json(beside: Mapping[str, Beside], golds: int) -> dict[str, Any]:
    """comparison.json: the schema's number, how many golds, and by key every field of ``Beside``, gold's mean and the verdict."""
    rows = {key: {**asdict(b), "gold": b.gold, "verdict": b.verdict} for key, b in beside.items()}
    return {"schema": 1, "golds": golds, "rows": rows}


Key = tuple[str, str]


def _means(judge: Judge, rows: Sequence[Key], labels: Sequence[str], x: np.ndarray, y: np.ndarray) -> Beside:
    """Means over rows: x [n] of the model, y [golds, n]."""
    d, n_groups = x - y.mean(0), len(set(labels))
    found = Beside(
        float(x.mean()),
        tuple(y.mean(1).tolist()),
        "unlearned" if is_unlearned(judge.role or "") else "kept",
        float(d.mean()),
        mean_interval(d, labels),
        n=len(d),
        groups=n_groups,
    )
    return _decided(found, cluster_se(d, labels), n_groups, margin_of(judge)) if n_groups >= FEWEST else found


def _aucs(judge: Judge, rows: Sequence[Key], labels: Sequence[str], x: np.ndarray, y: np.ndarray) -> Beside:
    """AUCs of forget against holdout rows, every draw of groups made for all models at once."""
    forget = np.array([role == "forget" for role, _ in rows])
    groups = np.array(labels)
    own, *golds = (auc(s[forget], s[~forget]) for s in (x, *y))
    sides = [len(set(groups[at])) for at in (forget, ~forget)]
    found = Beside(own, tuple(golds), "unlearned", own - float(np.mean(golds)), None, n=len(rows), groups=sum(sides))
    if min(sides) < FEWEST:
        return found
    drawn = [auc_draws(s[forget], groups[forget], s[~forget], groups[~forget]) for s in (x, *y)]
    d = drawn[0] - np.mean(drawn[1:], axis=0)
    found = replace(found, interval=percentile_interval(d, found.difference))
    return _decided(found, float(d.std()), sum(sides) - 1, margin_of(judge))  # a mean on either side: two degrees of freedom are gone


def margin_of(judge: Judge) -> float | None:
    """The margin of a metric of which it is known which side of gold is the bad one: it grows with what is known of the rows."""
    return judge.unit.margin if judge.card.grows == "knowledge" else None


def _decided(b: Beside, se: float, groups: int, least: float | None) -> Beside:
    """What the standard error decides; ``least``: the metric's margin, None if it has none."""
    b = replace(b, p=p_of_none(b.difference, se, groups), detectable=detectable(se, groups))
    if least is None:
        return b
    margin, ends = widened(least, b.golds), reach(se, groups)
    bound = (b.difference if b.side == "unlearned" else -b.difference) + ends
    return replace(b, margin=margin, bound=bound, not_worse=bound <= margin, equal=abs(b.difference) + ends < margin)
