"""Watermark strength: how much of an owner's watermark remains in the generated texts."""

from __future__ import annotations

import numpy as np

from expunge.core.card import Card
from expunge.core.results import Better, Measurement, Records, unscored
from expunge.scoring.aggregate import groups_of
from expunge.scoring.bootstrap import mean_draws, percentile_interval
from expunge.scoring.per_row import is_unlearned, lacking
from expunge.scoring.watermark import excess

card = Card(
    paper="Lu et al. 2025 (WaterDrum)",
    url="https://arxiv.org/abs/2505.05064",
    where="data-centric metric: verification strength, length-weighted",
    family=("watermark",),
    evidence="theorem",
    better="gold",
    unit="difference",
    needs=("teacher_forced", "generation"),
    differs="The mark is a keyed preference for words of our own, not Waterfall's permutation "
    "watermark: texts that Waterfall marked can "
    "only be verified with Waterfall and its keys.",
)


def watermark_strength(records: Records, role: str, *, key: str = "") -> Measurement:
    """(preferred words - others) / words over all that was written for ``role``; -1..1, 0 = nothing
    of the owner's mark.

    ``key``: the owner's secret; without one it is unscored. Linear in the share of marked words.
    Among the parts z, standard normal for text that was not marked under the key (beyond 3 is no
    accident). On roles to forget 0 is reached when the owner's data are gone.
    """
    rows = records.of(role)
    better: Better = 0.0 if is_unlearned(role) else "higher"
    reason = lacking(rows, role, "", ("generated",))
    if not reason and not key:
        reason = (
            "needs the owner's key, and has none (a benchmark gives it as the argument key): "
            "without it there is no mark to look for"
        )
    if reason:
        return unscored(reason, better)
    columns = np.array([excess(r.generated or "", key) for r in rows], dtype=np.float64).T
    total, n = columns.sum(axis=1)
    if not n:
        return unscored(f"the texts written for role {role} have no two words", better)
    labels, interval = groups_of(rows), None
    if len(set(labels)) > 1:
        drawn = mean_draws(columns, labels)
        drawn = drawn[drawn[:, 1] > 0]
        interval = percentile_interval(
            drawn[:, 0] / drawn[:, 1], float(total / n), len(set(labels))
        )
    parts = {"z": float(total / n**0.5), "words": float(n)}
    return Measurement(float(total / n), len(rows), len(set(labels)), interval, better, None, parts)
