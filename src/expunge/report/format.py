"""How numbers and keys are written, the same in the terminal and in the report."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from expunge.core.escape import escaped
from expunge.core.results import Better, Measurement

NONE = "–"
HUGE = 1e100


def number(value: float, digits: int = 2) -> str:
    """A value as people read it: ``0.12``, ``-98.3``, ``1.2e-08``; never a rounded-away nonzero.

    >>> [number(v) for v in (0.1249, 0, 3.2e-9, -98.31, 1234.5)]
    ['0.12', '0.00', '3.2e-09', '-98.3', '1234']
    """
    if value and abs(value) < 0.5 * 10**-digits:
        return f"{value:.1e}"
    if abs(value) >= 10:
        if abs(value) < 1000:
            return f"{value:.1f}"
        if abs(value) < 1e6:
            return f"{value:.0f}"
        return f"{value:.1e}"
    return f"{value:.{digits}f}"


def interval(m: Measurement, digits: int = 2) -> str:
    """``0.09–0.15``, with the measurement's warning behind it; empty where there is neither.

    Bounds that would be rounded away from zero are written 0.
    """
    if m.interval is None:
        return m.warning
    lo, hi = (f"{0:.{digits}f}" if abs(b) < 10**-12 else number(b, digits) for b in m.interval)
    if "-" in lo + hi:
        ends = f"{lo} to {hi}"
    else:
        ends = f"{lo}–{hi}"
    return f"{ends}, {m.warning}" if m.warning else ends


def value(m: Measurement | None, digits: int = 2) -> str:
    """The value, or the dash that stands for none."""
    if m is None or m.value is None:
        return NONE
    return number(m.value, digits)


def tick(x: float | str) -> str:
    """A point of an x axis: whole numbers without a fraction, words as they are."""
    return x if isinstance(x, str) else f"{x:g}"


def split_key(key: str) -> tuple[str, str]:
    """``forget/rouge_l_recall`` -> (``forget``, ``rouge_l_recall``); a bare name has no role."""
    role, _, name = key.rpartition("/")
    return role, name


def spoken(name: str) -> str:
    """A member's name with spaces for underscores, ROUGE-L and MIA as people write them."""
    return name.replace("rouge_l", "ROUGE-L").replace("mia_", "MIA ").replace("_", " ")


def phrase(key: str) -> str:
    """``forget/probability`` -> ``forget probability``; what a file names it may hold anything, so
    it is escaped.
    """
    return escaped(spoken(key.replace("/", " ")))


NO_GOLD = "no gold given"


def goal(better: Better | None, gold: bool = True) -> str:
    """Which way a number should go, in two words.

    ``gold``: whether there is one; else nothing can be closest to it, and that is said.
    """
    if better == "gold" and not gold:
        return NO_GOLD
    if better is None:
        return ""
    if isinstance(better, str):
        return {
            "higher": "higher is better",
            "lower": "lower is better",
            "gold": "closest to gold",
        }.get(better, "")
    return f"closest to {better:g}"


def finite(x: object) -> bool:
    """Whether x is a number that can be shown and drawn: none of a size that differences and
    squares of it overflow.
    """
    if isinstance(x, bool) or not isinstance(x, (int, float)):
        return False
    return not (isinstance(x, float) and math.isnan(x)) and -HUGE < x < HUGE


def unmoved(effect: Mapping[str, Any]) -> str:
    """Of a run that did nothing, what did not move: ``effect`` of its run.yaml in words."""
    weights, loss = (
        x if isinstance(x, Mapping) else {} for x in (effect.get("weights"), effect.get("loss"))
    )
    moved = "no weight changed"
    if weights.get("changed") and finite(weights.get("relative")):
        moved = (
            f"the weights moved by {weights['relative']:.1e} of their length, less than their "
            f"type can tell apart"
        )
    known = finite(loss.get("after")) and finite(loss.get("rows"))
    return moved + (
        f", and the loss on {loss['rows']} rows is {loss['after']:.4f} as before" if known else ""
    )


def short(value: float) -> str:
    """Two decimals without the zero before the point: .93, 1.00, -.20."""
    if abs(value) < 0.995:
        return f"{value:.2f}".replace("0.", ".", 1)
    return f"{value:.2f}"
