"""What the numbers say, in plain words and with care.

A finding is not a verdict: those come from ``expunge audit``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from expunge.core.errors import listed
from expunge.core.results import Measurement
from expunge.report.compare import (
    START,
    Curve,
    Judged,
    against,
    bounds,
    gold_of,
    gold_value,
    margin_of,
    scored,
)
from expunge.report.format import interval, number, phrase, split_key, tick
from expunge.runs.seal import edited

Level = Literal["bad", "warn", "good", "note"]
# The metrics that findings and plots look at first; all run from 0 to 1 and grow with what is
# known.
LEADING = ("probability", "rouge_l_recall", "extraction_strength", "exact_memorization")
# less than this share of the original's retain value: what should stay is gone as well
COLLAPSE = 0.5
COSTLY = 0.8  # less than this share: a good forget value was paid for
APPLICABLE = 0.8  # an attack that pulls retain below this share says little about forgetting


@dataclass(frozen=True)
class Finding:
    """One model: a few words for a label, and the sentences that carry the numbers."""

    label: str
    level: Level
    headline: str
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class Trial:
    """What one attack found.

    ``outcome``: back (more than gold), like_gold, unclear, no_gold, not_applicable.
    """

    outcome: Literal["back", "like_gold", "unclear", "no_gold", "not_applicable"]
    sentence: str


def leading(subjects: Sequence[Judged], role: str) -> str | None:
    """The key of ``role`` that the findings are about: the first of LEADING that any model has a
    value for.
    """
    for name in LEADING:
        if any(scored(s.measurements.get(f"{role}/{name}")) for s in subjects):
            return f"{role}/{name}"
    return None


def findings(subjects: Sequence[Judged], curves: Sequence[Curve] = ()) -> list[Finding]:
    """One Finding per unlearned model that has a forget value, in order."""
    key = leading([s for s in subjects if s.kind == "unlearned"], "forget")
    if key is None:
        return []
    return [
        _finding(s, key, subjects, curves)
        for s in subjects
        if s.kind == "unlearned" and scored(s.measurements.get(key))
    ]


def _finding(s: Judged, key: str, subjects: Sequence[Judged], curves: Sequence[Curve]) -> Finding:
    """Edited numbers are no finding; and none is good that rests on numbers which were edited or
    cannot be checked.
    """
    if edited(s.doubt):
        return Finding(
            s.label,
            "bad",
            "edited: not trusted",
            (f"{_first(s.doubt)}: nothing can be told of this model.",),
        )
    found = _told(s, key, subjects, curves)
    if s.gold_doubt and found.level == "good":
        found = Finding(
            s.label,
            "warn",
            "not settled: its gold is in doubt",
            (*found.sentences, f"{_first(s.gold_doubt)}."),
        )
    yardsticks = [o for o in subjects if o.kind in ("gold", "original")]
    doubts = [(o.label, o.doubt) for o in (s, *yardsticks) if o.doubt]
    labels = {s.label, *(o.label for o in yardsticks)}
    doubts += [(f"{c.attack} on {c.of}", c.doubt) for c in curves if c.doubt and c.of in labels]
    if found.level != "good" or not doubts:
        return found
    if any(edited(why) for _, why in doubts):
        what = "rests on edited numbers"
    else:
        what = "its numbers cannot be checked"
    return Finding(
        s.label,
        "warn",
        f"not settled: {what}",
        (*found.sentences, *(f"{_first(name)}: {why}." for name, why in doubts)),
    )


def _told(s: Judged, key: str, subjects: Sequence[Judged], curves: Sequence[Curve]) -> Finding:
    m = s.measurements[key]
    gold = _gold(s, key, subjects)
    kept, cost = _cost(s, key, subjects)
    own = [trial(c, key, subjects, curves) for c in curves if c.of == s.label]
    trials = [t for t in own if t]
    told = (_now(s, key, subjects), *([cost] if cost else []), *(t.sentence for t in trials))
    outcomes = {t.outcome for t in trials}
    if kept is not None and kept < COLLAPSE:
        return Finding(s.label, "bad", "collapsed: what should stay is gone too", told)
    if gold is None:
        return Finding(
            s.label,
            "note",
            "no gold to compare with",
            (*told, "Without gold (--gold) nobody can say how low is low enough."),
        )
    now = against(m, gold)
    if now == "above":
        return Finding(s.label, "bad", "still there, before any attack", told)
    if "back" in outcomes:
        return Finding(s.label, "bad", "hidden, not gone", told)
    if over := _over_forgotten(s, m, gold):
        return Finding(s.label, "warn", "over-forgotten: less than gold", (*told, over))
    if not outcomes & {"like_gold"}:
        return Finding(
            s.label,
            "warn",
            "not settled" if trials or now == "unclear" else "low, but not attacked",
            told,
        )
    if now == "unclear" or outcomes & {"unclear", "no_gold"}:
        return Finding(s.label, "warn", "not settled", told)
    if kept is not None and kept < COSTLY:
        return Finding(s.label, "warn", "like gold in what was tried, at a high cost", told)
    return Finding(s.label, "good", "like gold in what was tried", told)


def _over_forgotten(s: Judged, m: Measurement, gold: float) -> str:
    """The sentence about a model that knows less than gold does, by its leading metric or by any
    that was held beside gold; else ''.
    """
    flagged = [phrase(k) for k, b in s.beside.items() if b.flags]
    if not flagged and bounds(m)[1] >= gold - margin_of(m):
        return ""
    where = f" ({listed(flagged, 4)})" if flagged else ""
    return (
        f"It knows even less than a model that never saw the forget set{where}: that, too, can "
        f"be noticed."
    )


def _gold(s: Judged, key: str, subjects: Sequence[Judged]) -> float | None:
    """Gold's value: of the golds of the report, else of those that the model was judged beside."""
    gold = gold_of(subjects, key)
    if gold is None and key in s.beside:
        return s.beside[key].gold
    return gold


def _now(s: Judged, key: str, subjects: Sequence[Judged]) -> str:
    gold = _gold(s, key, subjects)
    original = gold_value(o.measurements.get(key) for o in subjects if o.kind == "original")
    others = []
    for name, v in (("gold", gold), ("original", original)):
        if v is not None:
            others.append(f"{name} {number(v)}")
    m = s.measurements[key]
    ends = f", 95\u00a0% interval {interval(m)}" if m.interval else ""
    return f"{_first(phrase(key))} {number(m.value or 0.0)}{ends}" + (
        f" ({', '.join(others)})." if others else "."
    )


def _cost(s: Judged, key: str, subjects: Sequence[Judged]) -> tuple[float | None, str]:
    """The share of the original's retain value that is left, and the sentence that says so."""
    retain = f"retain/{split_key(key)[1]}"
    m = s.measurements.get(retain)
    was = gold_value(o.measurements.get(retain) for o in subjects if o.kind == "original")
    if m is None or m.value is None or not was:
        return None, ""
    return (
        m.value / was,
        f"{_first(phrase(retain))} {number(m.value)}, original {number(was)} "
        f"({100 * m.value / was:.0f} % kept).",
    )


def trial(
    curve: Curve, key: str, subjects: Sequence[Judged], curves: Sequence[Curve]
) -> Trial | None:
    """What an attack brought back, at the point where it stands furthest above gold under the same
    attack.
    """
    points = curve.series.get(key)
    if points is None:
        return None
    after = [
        (x, m) for x, m in list(zip(curve.x, points, strict=True)) if scored(m) and x not in START
    ]
    if not after:
        return None
    gold = {x: g for x, m in after if (g := gold_at(curve, key, x, subjects, curves)) is not None}
    if not gold:
        x, m = max(after, key=lambda p: p[1].value or 0.0)
        return Trial(
            "no_gold",
            f"{_when(curve, x)} {_v(m)}; gold was not tried the same way, so how much of that is "
            f"new is unknown.",
        )
    standing = {x: against(m, gold[x]) for x, m in after if x in gold}
    low = (
        (start := gold_of(subjects, key)) is None
        or points[0].value is None
        or against(points[0], start) != "above"
    )
    if "above" in standing.values():
        worst = "above"
    elif "unclear" in standing.values():
        worst = "unclear"
    else:
        worst = "within"
    shown = [(x, m) for x, m in after if standing.get(x) == worst]
    x, m = (
        shown[-1]
        if worst == "within"
        else max(shown, key=lambda p: (p[1].value or 0.0) - gold[p[0]])
    )
    numbers = f"{_when(curve, x)} {_v(m)}, gold {number(gold[x])}"
    if worst == "above":
        return Trial(
            "back",
            f"{numbers}: it came back further than gold did."
            if low
            else f"{numbers}: still more than gold.",
        )
    if (share := _retained(curve, key, x)) is not None and share < APPLICABLE:
        return Trial(
            "not_applicable",
            f"{numbers}, but retain fell to {100 * share:.0f} % of what it was: this attack says "
            f"little here.",
        )
    if worst == "unclear":
        return Trial(
            "unclear", f"{numbers}: the interval does not settle whether that is more than gold."
        )
    return Trial("like_gold", f"{numbers}: no more than gold.")


def gold_at(
    curve: Curve, key: str, x: float | str, subjects: Sequence[Judged], curves: Sequence[Curve]
) -> float | None:
    """Gold's value at the same point of the same attack: the mean if several golds were attacked;
    None if none was.
    """
    golds = {s.label for s in subjects if s.kind == "gold"}
    same = [
        c
        for c in curves
        if (c.kind == "gold" or c.of in golds)
        and c.same_attack(curve)
        and x in c.x
        and key in c.series
    ]
    return gold_value(c.series[key][c.x.index(x)] for c in same)


def _when(curve: Curve, x: float | str) -> str:
    if curve.said:
        return f"{_first(curve.said[curve.x.index(x)])}:"
    if isinstance(x, str):  # a curve of an older version
        if x.endswith("-bit"):
            return f"After rounding to {x}:"
        return f"Under {curve.attack} ({x}):"
    return f"After {tick(x)} {curve.xlabel}:"


def _first(words: str) -> str:
    """With a capital at the front, and only there."""
    return words[:1].upper() + words[1:]


def _v(m: Measurement) -> str:
    return number(m.value or 0.0)


def _retained(curve: Curve, key: str, x: float | str) -> float | None:
    """Retain at ``x`` as a share of retain before the attack; None if it was not measured."""
    series = curve.series.get(f"retain/{split_key(key)[1]}")
    if not series or not series[0].value or curve.x[0] not in START:
        return None
    m = series[curve.x.index(x)]
    if m.value is None:
        return None
    return m.value / series[0].value


def summary(found: Sequence[Finding]) -> str:
    """One sentence over all findings: how many came to which end."""
    if not found:
        return ""
    counts: dict[str, list[str]] = {}
    for f in found:
        counts.setdefault(f.headline.partition(":")[0], []).append(f.label)
    parts = []
    for what, labels in counts.items():
        parts.append(f"{len(labels)} {what} ({', '.join(labels)})")
    return f"Of {len(found)} unlearned model{'s' * (len(found) > 1)}: {'; '.join(parts)}."
