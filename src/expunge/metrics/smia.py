"""sMIA: one minus how far the membership AUC lies from gold's, over the farthest that it could; 1
is ideal.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from annotated_types import Interval

from expunge.core.card import Card
from expunge.core.results import Measurement, Records, unscored
from expunge.scoring.aggregate import groups_of, membership, without_gold
from expunge.scoring.bootstrap import auc, auc_draws, percentile_interval
from expunge.scoring.per_row import min_k_of

card = Card(
    paper="Dorna et al. 2025 (open-unlearning)",
    url="https://arxiv.org/abs/2506.12618",
    where="privacy: sMIA",
    family=("membership",),
    evidence="oracle",
    better=1.0,
    unit="share",
    needs=("teacher_forced", "gold"),
    reads=("forget", "holdout"),
    whole=True,
    differs="Of one attack, Min-K; the paper's privacy score is the harmonic mean over four (loss, "
    "zlib, Min-K, Min-K++). "
    "The base is as two independent implementations of that score have it. Dividing by gold's AUC "
    "alone, as PrivLeak does, would make "
    "the score depend on which side is called positive.",
)


def smia(
    records: Records,
    gold: Records | None = None,
    *,
    k: Annotated[float, Interval(gt=0, le=1)] = 0.4,
    eos: bool = False,
) -> Measurement:
    """1 - |A - A_gold| / max(A_gold, 1 - A_gold), A the AUC of Min-K; 0..1, 1 = gold's membership,
    0 = as far from it as an AUC can be.

    The same whichever side is called positive (P(forget > holdout) here and in ``mia_min_k``, the
    other way round in ``privleak``), and as strict on over-forgetting as on leaking: gold .39 and a
    model at .70 give 1 - .31 / .61 = .49. ``k``, ``eos``: as in ``privleak``.
    """
    if gold is None:
        return unscored(without_gold(records), 1.0)
    sides = []
    for source in (records, gold):
        found = membership(source, "mia_min_k", lambda r: min_k_of(r, k, eos), ("logp",))
        if isinstance(found, str):
            return unscored(found if source is records else f"gold: {found}", 1.0)
        sides.append((found[1], groups_of(found[0]), found[3], groups_of(found[2])))
    a, base = (auc(x, y) for x, _, y, _ in sides)
    value = float(_closeness(np.array(a), np.array(base)))
    g, h = sides[0][1], sides[0][3]
    interval = None
    fewest = min(len(set(labels)) for _, u, _, v in sides for labels in (u, v))
    if fewest > 1:
        paired = all(set(sides[0][i]) == set(sides[1][i]) for i in (1, 3))
        mine, golds = auc_draws(*sides[0]), auc_draws(*sides[1], stream=0 if paired else 1)
        lo, hi = percentile_interval(_closeness(mine, golds), value, fewest)
        interval = (max(0.0, lo), min(1.0, hi))
    return Measurement(
        value, len(g) + len(h), len(set(g)) + len(set(h)), interval, 1.0, fewest=fewest
    )


def _closeness(a: np.ndarray, gold: np.ndarray) -> np.ndarray:
    """One minus the distance of two AUCs over the greatest that any AUC can have from gold's: the
    base is never below .5.
    """
    return 1 - np.abs(a - gold) / np.maximum(gold, 1 - gold)
