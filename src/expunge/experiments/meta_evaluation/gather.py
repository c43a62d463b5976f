"""From the cells of a meta-evaluation to one row per metric: faithfulness, robustness, and what
each is made of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from expunge import registry
from expunge.core.results import Better
from expunge.scoring.bootstrap import harmonic_mean
from expunge.scoring.faithfulness import (
    Faithful,
    faithfulness,
    order_kept,
    oriented,
    relearning,
    rounding,
)

# beside gold's, these fall as a model knows more of the forget rows
FALLS = ("perplexity", "refusal_rate", "truth_ratio")
# families that say nothing of knowledge; blind_baseline reads no model at all
CONTROLS = ("fluency", "watermark")
UTILITY = 0.8  # of gold's: an unlearned model below it is no evidence of a metric's robustness
# a model hides what it knows if relearning brings back that much more probability than it gives
# gold
BACK = 0.05
# the model as it is, and after each attack of the table, by the attack's name
STATES = ("as_is", "relearn", "quantize")
# what files of before call them
FORMERLY = {"relearned": "relearn", "rounded": "quantize"}
Cell = Mapping[str, Any]


def gathered(cells: Sequence[Cell]) -> dict[str, Any]:
    """``metrics``, ``pool``, ``unlearned`` and ``left_out`` of meta.json; controls behind the
    metrics, the best aggregate first.
    """
    cells = [by_attack(c) for c in cells]
    pool = [c for c in cells if "member" in c["ask"]]
    after = [c for c in cells if "method" in c["ask"]]
    names = list(dict.fromkeys(name for c in cells for name in c["as_is"]["values"]))
    left_out = unmeasured(cells, names)
    hiding = None
    if "probability" in names and "probability" not in left_out:
        hiding = [c for c in after if hides(c, pool, after)]
    rows = {name: row(name, pool, after, hiding) for name in names if name not in left_out}
    unlearned = []
    for c in after:
        marks = {
            "method": c["ask"]["method"] or "gold",
            "seed": c["ask"]["seed"],
            "hides": hiding is not None and c in hiding,
            "useful": useful(c, after),
        }
        unlearned.append(marks | facts(c))
    return {
        "metrics": dict(sorted(rows.items(), key=_order)),
        "left_out": left_out,
        "pool": [c["ask"]["member"] | facts(c) for c in pool],
        "unlearned": unlearned,
    }


def by_attack(states: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept by state under the names of today."""
    return {FORMERLY.get(name, name): value for name, value in states.items()}


def unmeasured(cells: Sequence[Cell], names: Sequence[str]) -> dict[str, str]:
    """Metrics that have no value on some model, each with the first reason."""
    left_out: dict[str, str] = {}
    for name in names:
        reasons = []
        for c in cells:
            reason = c["as_is"]["values"][name]["reason"]
            if reason:
                reasons.append(reason)
        if not reasons:
            continue
        left_out[name] = reasons[0]
        if len(reasons) < len(cells):
            left_out[name] += f" ({len(reasons)} of {len(cells)} models)"
    return left_out


def _order(entry: tuple[str, Mapping[str, Any]]) -> tuple[bool, float, float, str]:
    """Sort key: controls last, then the best aggregate, the best faithfulness, the name."""
    name, m = entry
    return m["control"], -(m["aggregate"] or 0.0), -m["faithfulness"], name


def row(
    name: str, pool: Sequence[Cell], after: Sequence[Cell], hiding: Sequence[Cell] | None
) -> dict[str, Any]:
    """A row of the table: what is measured of one metric.

    Faithfulness is its AUC over the pool. Relearning (R), rounding (Q) and robustness (their
    harmonic mean) are over the unlearned models that pass the filter. Aggregate: the harmonic mean
    of faithfulness and robustness. ``seen``: how many of the hiding models it puts among those that
    know, before any attack, and of how many; then the same of the models that never knew: its false
    alarms.
    """
    found = faithful(name, pool)
    never = [c for c in pool if not c["ask"]["member"]["knows"]]
    every, pairs = [], []
    for c in after:
        if not c["ask"]["method"]:
            continue
        now = of_states(name, c)
        was = of_states(name, gold_of(c, after))
        if now is None or was is None:
            continue
        every.append(now)
        if useful(c, after) and now[0] < found.threshold:
            pairs.append((now, was))
    moved = [(now[1] - now[0], was[1] - was[0]) for now, was in pairs]
    relearned = None
    rounded = None
    robust = None
    aggregate = None
    if pairs:
        relearned = fmean(relearning(*now[:2], *was[:2]) for now, was in pairs)
        rounded = fmean(rounding(now[0], now[2]) for now, _ in pairs)
        robust = float(harmonic_mean([relearned, rounded]))
        aggregate = float(harmonic_mean([found.auc, robust]))
    kept = {}
    for i, state in enumerate(STATES[1:], start=1):
        kept[state] = order_kept([x[0] for x in every], [x[i] for x in every])
    seen = None
    if hiding is not None:
        alarms = above(name, never, found.threshold)
        seen = [above(name, hiding, found.threshold), len(hiding), alarms, len(never)]
    card = registry.member("metrics", name).card
    family = tuple(card.get("family") or ())
    return {
        "faithfulness": found.auc,
        "interval": list(found.interval) if found.interval else None,
        "models": [found.knowing, found.never],
        "threshold": found.threshold,
        "relearning": relearned,
        "rounding": rounded,
        "robustness": robust,
        "unlearned": len(pairs),
        "still": sum(a == b == 0 for a, b in moved),
        "opposite": sum(a * b < 0 for a, b in moved),
        "aggregate": aggregate,
        "order_kept": kept,
        "seen": seen,
        "control": name == "blind_baseline" or any(f in CONTROLS for f in family),
        "needs": list(card["needs"]),
    }


def above(name: str, models: Sequence[Cell], threshold: float) -> int:
    """How many models a metric puts at or above a threshold, before any attack."""
    values = [turned(name, c["as_is"]["values"][name]) for c in models]
    return sum(x is not None and x >= threshold for x in values)


def faithful(name: str, pool: Sequence[Cell]) -> Faithful:
    """A metric over the models that know and those that never did."""
    knowing: list[float] = []
    never: list[float] = []
    for c in pool:
        value = turned(name, c["as_is"]["values"][name])
        if value is not None:
            side = knowing if c["ask"]["member"]["knows"] else never
            side.append(value)
    return faithfulness(knowing, never)


def of_states(name: str, c: Cell) -> tuple[float, float, float] | None:
    """A metric on an unlearned model as it is, relearned and rounded; None if it has no value on
    one of them.
    """
    as_is, relearned, rounded = (turned(name, c[s]["values"][name]) for s in STATES)
    if as_is is None or relearned is None or rounded is None:
        return None
    return as_is, relearned, rounded


def gold_of(c: Cell, after: Sequence[Cell]) -> Cell:
    """The gold of an unlearned model's seed."""
    return next(g for g in after if not g["ask"]["method"] and g["ask"]["seed"] == c["ask"]["seed"])


def hides(c: Cell, pool: Sequence[Cell], after: Sequence[Cell]) -> bool:
    """Whether a useful model gives the forget answers as little as models that never knew them, and
    relearns more than gold does.
    """
    now, was = (of_states("probability", x) for x in (c, gold_of(c, after)))
    return bool(
        now
        and was
        and useful(c, after)
        and now[0] < faithful("probability", pool).threshold
        and now[1] > was[1] + BACK
    )


def turned(name: str, found: Mapping[str, Any]) -> float | None:
    """The value so that more is more knowledge; None if there is none."""
    better: Better = found["better"] if found["better"] is not None else "gold"
    if found["value"] is None:
        return None
    return oriented(found["value"], better, falls=name in FALLS)


def useful(c: Cell, after: Sequence[Cell]) -> bool:
    """Whether an unlearned model still gives what is to be kept the probability that gold gives it,
    to UTILITY.
    """
    return bool(c["as_is"]["kept"] >= UTILITY * gold_of(c, after)["as_is"]["kept"])


def facts(c: Cell) -> dict[str, Any]:
    """What one must see of a model beside the metrics: what it gives to the forget rows and to
    those to keep, in each state.
    """
    states = {s: c[s] for s in STATES if s in c}
    told = {
        s: {"forget": found["values"].get("probability", {}).get("value"), "kept": found["kept"]}
        for s, found in states.items()
    }
    return {"probability": told}
