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
STATES = ("as_is", "relearned", "rounded")
Cell = Mapping[str, Any]


def gathered(cells: Sequence[Cell]) -> dict[str, Any]:
    """``metrics``, ``pool``, ``unlearned`` and ``left_out`` of meta.json; controls behind the
    metrics, the best aggregate first.
    """
    pool = [c for c in cells if "member" in c["ask"]]
    after = [c for c in cells if "method" in c["ask"]]
    names = list(dict.fromkeys(name for c in cells for name in c["as_is"]["values"]))
    left_out: dict[str, str] = {}
    for name in names:
        reasons = [r for c in cells for r in [c["as_is"]["values"][name]["reason"]] if r]
        if reasons:
            left_out[name] = reasons[0] + (
                f" ({len(reasons)} of {len(cells)} models)" if len(reasons) < len(cells) else ""
            )
    hiding = (
        [c for c in after if hides(c, pool, after)]
        if "probability" in names and "probability" not in left_out
        else None
    )
    rows = {name: row(name, pool, after, hiding) for name in names if name not in left_out}
    order = lambda r: (r[1]["control"], -(r[1]["aggregate"] or 0.0), -r[1]["faithfulness"], r[0])
    told = lambda c: {
        "method": c["ask"]["method"] or "gold",
        "seed": c["ask"]["seed"],
        "hides": hiding is not None and c in hiding,
    }
    return {
        "metrics": dict(sorted(rows.items(), key=order)),
        "left_out": left_out,
        "pool": [c["ask"]["member"] | facts(c) for c in pool],
        "unlearned": [told(c) | {"useful": useful(c, after)} | facts(c) for c in after],
    }


def row(
    name: str, pool: Sequence[Cell], after: Sequence[Cell], hiding: Sequence[Cell] | None
) -> dict[str, Any]:
    """A metric: AUC over the pool; R, Q and their harmonic mean over the unlearned models that pass
    the filter; the mean of both.

    ``seen``: how many of the hiding models it puts among those that know, as they are, and of how
    many; then the same of the models that never knew: its false alarms.
    """
    found = faithful(name, pool)
    above = lambda some: sum(
        x >= found.threshold
        for c in some
        if (x := turned(name, c["as_is"]["values"][name])) is not None
    )
    never = [c for c in pool if not c["ask"]["member"]["knows"]]
    every, pairs = [], []
    for c in (c for c in after if c["ask"]["method"]):
        now, was = of_states(name, c), of_states(name, gold_of(c, after))
        if now and was:
            every.append(now)
            pairs += [(now, was)] if useful(c, after) and now[0] < found.threshold else []
    moved = [(now[1] - now[0], was[1] - was[0]) for now, was in pairs]
    relearned = fmean(relearning(*now[:2], *was[:2]) for now, was in pairs) if pairs else None
    rounded = fmean(rounding(now[0], now[2]) for now, _ in pairs) if pairs else None
    robust = (
        None if relearned is None or rounded is None else float(harmonic_mean([relearned, rounded]))
    )
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
        "aggregate": None if robust is None else float(harmonic_mean([found.auc, robust])),
        "order_kept": {
            s: order_kept([x[0] for x in every], [x[i] for x in every])
            for i, s in enumerate(STATES)
            if i
        },
        "seen": None if hiding is None else [above(hiding), len(hiding), above(never), len(never)],
        "control": name == "blind_baseline" or any(f in CONTROLS for f in family),
        "needs": list(card["needs"]),
    }


def faithful(name: str, pool: Sequence[Cell]) -> Faithful:
    """A metric over the two pools."""
    sides = (
        [
            turned(name, c["as_is"]["values"][name])
            for c in pool
            if c["ask"]["member"]["knows"] is knows
        ]
        for knows in (True, False)
    )
    return faithfulness(*([x for x in side if x is not None] for side in sides))


def of_states(name: str, c: Cell) -> tuple[float, float, float] | None:
    """A metric on an unlearned model as it is, relearned and rounded; None if it has no value on
    one of them.
    """
    as_is, relearned, rounded = (turned(name, c[s]["values"][name]) for s in STATES)
    return (
        None
        if as_is is None or relearned is None or rounded is None
        else (as_is, relearned, rounded)
    )


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
    return None if found["value"] is None else oriented(found["value"], better, falls=name in FALLS)


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
