"""How far the statistics can be believed, by simulation: intervals at few groups, verdicts beside
golds of other seeds.

Intervals: of 95 % intervals the share that holds the truth, for 2 to 40 groups of five rows: normal
    values (no range), answers right or wrong, shares in 0..1, an AUC. Verdicts: 20 groups, margin
    .05, seeds with a standard deviation of .03, with 1, 2, 3 and 5 golds: how often a leak of .15
    passes as equal, how often another gold is called different, and what happens to it. Seconds,
    one thread, no model.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import norm

from expunge.core.units import UNITS
from expunge.report.markdown import table
from expunge.scoring.bootstrap import auc_interval, cluster_se, mean_interval
from expunge.scoring.significance import Error, p_of_none, reach, widened

GROUPS = (2, 3, 5, 8, 12, 20, 40)
GOLDS = (1, 2, 3, 5)
ROWS, SEEDS, SINGLE, LEAK = 5, 0.03, 0.05, 0.15
MARGIN = float(UNITS["share"].margin or 0.0)


def normal(rng: np.random.Generator, groups: int) -> tuple[float, np.ndarray]:
    """Values without a range: groups move together, half of the variance is theirs."""
    return 0.0, np.repeat(rng.normal(size=groups), ROWS) + rng.normal(size=ROWS * groups)


def answers(rng: np.random.Generator, groups: int) -> tuple[float, np.ndarray]:
    """Right or wrong, one in five right, in groups that are better or worse."""
    p = np.repeat(rng.beta(0.8, 3.2, groups), ROWS)
    return 0.2, (rng.random(ROWS * groups) < p).astype(float)


def shares(rng: np.random.Generator, groups: int) -> tuple[float, np.ndarray]:
    """Probabilities with a mean of .2, skewed to the right."""
    p = np.repeat(rng.beta(0.8, 3.2, groups), ROWS)
    return 0.2, np.clip(p * rng.uniform(0.8, 1.2, ROWS * groups), 0.0, 1.0)


def means_covered(draw: Any, groups: int, draws: int, **ends: float) -> float:
    """The share of intervals of a mean that hold the truth."""
    rng, held = np.random.default_rng(groups), 0
    labels = np.repeat(np.arange(groups), ROWS).astype(str)
    for _ in range(draws):
        truth, x = draw(rng, groups)
        found = mean_interval(x, labels, **ends)
        held += found is not None and found[0] <= truth <= found[1]
    return held / draws


def aucs_covered(groups: int, draws: int) -> float:
    """The same of an AUC of .64 between two sides of so many groups each."""
    rng, held = np.random.default_rng(groups), 0
    labels, truth = np.repeat(np.arange(groups), ROWS).astype(str), float(norm.cdf(0.7 / 2))
    for _ in range(draws):
        sides = []
        for mean in (0.7, 0.0):
            sides.append(
                np.repeat(rng.normal(mean, 1, groups), ROWS) + rng.normal(size=ROWS * groups)
            )
        found = auc_interval(sides[0], labels, sides[1], labels)
        held += found is not None and found[0] <= truth <= found[1]
    return held / draws


def verdicts(golds: int, leak: float, draws: int, groups: int = 20) -> dict[str, float]:
    """How often a model with a leak is called equal, not worse or different, and how often rows
    alone would call it different.
    """
    rng, counts = (
        np.random.default_rng(golds),
        dict.fromkeys(("equal", "not worse", "different", "different by rows alone"), 0),
    )
    labels = [str(i) for i in range(groups)]
    for _ in range(draws):
        made = rng.normal(0, SEEDS, (golds + 1, 1)) + rng.normal(0, SINGLE, (golds + 1, groups))
        theirs, d = made[1:].mean(1), made[0] + leak - made[1:].mean(0)
        between = float(theirs.std(ddof=1)) if golds > 1 else 0.0
        error, difference = (
            Error(cluster_se(d, labels), groups - 1, groups, between, golds),
            float(d.mean()),
        )
        far, margin = reach(*error.of_mean()), widened(MARGIN, theirs)
        counts["equal"] += abs(difference) + far < margin
        counts["not worse"] += difference + far <= margin
        counts["different"] += p_of_none(difference, *error.of_another()) < 0.05
        counts["different by rows alone"] += p_of_none(difference, error.rows, error.degrees) < 0.05
    return {name: n / draws for name, n in counts.items()}


def measured(draws: int) -> dict[str, Any]:
    """All of it, as plain data."""
    intervals = {}
    for groups in GROUPS:
        intervals[str(groups)] = {
            "normal": means_covered(normal, groups, draws),
            "answers": means_covered(answers, groups, draws),
            "shares": means_covered(shares, groups, draws, low=0.0, high=1.0),
            "auc": aucs_covered(groups, draws),
        }
    beside = {}
    for golds in GOLDS:
        beside[str(golds)] = {
            "leak": verdicts(golds, LEAK, draws),
            "another gold": verdicts(golds, 0.0, draws),
        }
    return {
        "draws": draws,
        "rows": ROWS,
        "seeds": SEEDS,
        "leak": LEAK,
        "margin": MARGIN,
        "intervals": intervals,
        "beside": beside,
    }


def page(found: dict[str, Any]) -> str:
    """coverage.md."""
    draws, error = found["draws"], 2 * (0.05 * 0.95 / found["draws"]) ** 0.5
    lines = ["# How far the statistics can be believed", ""]
    lines += [
        f"By simulation, {draws} draws a cell (a share near .95 is known to {error:.3f}): `make "
        f"coverage`.",
        "",
    ]
    lines += ["## 95 % intervals: the share that holds the truth", ""]
    lines += [
        f"Groups of {found['rows']} rows. Below 8 groups every output says `too few groups` beside "
        f"the interval.",
        "",
    ]
    rows = []
    for groups, row in found["intervals"].items():
        rows.append([groups, *(f"{row[k]:.3f}" for k in ("normal", "answers", "shares", "auc"))])
    lines += [table(("groups", "normal", "right or wrong", "shares", "AUC (groups a side)"), rows)]
    setting = f"20 groups, margin {found['margin']}, standard deviation of seeds {found['seeds']}."
    lines += ["", "## Verdicts beside golds of other seeds", "", setting, ""]
    leaks, others = [], []
    for golds, row in found["beside"].items():
        leak, same = row["leak"], row["another gold"]
        leaks.append([golds, *(f"{leak[k]:.3f}" for k in ("equal", "not worse", "different"))])
        keys = ("different", "different by rows alone", "equal", "not worse")
        others.append([golds, *(f"{same[k]:.3f}" for k in keys)])
    lines += [f"A leak of {found['leak']}:", ""]
    lines += [table(("golds", "passes as equal", "passes as not worse", "told"), leaks)]
    lines += ["", "Another gold, which is no leak:", ""]
    lines += [table(("golds", "called different", "by rows alone", "equal", "not worse"), others)]
    lines += [
        "",
        "With one gold p is of the rows alone, and nothing can be known of the seeds: that is said "
        "beside every such verdict.",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write OUT.json and OUT.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=500)
    parser.add_argument("--out", type=Path, default=Path("results/coverage"))
    asked = parser.parse_args()
    found = measured(asked.draws)
    asked.out.with_suffix(".json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    asked.out.with_suffix(".md").write_text(page(found), encoding="utf-8")


if __name__ == "__main__":
    main()
