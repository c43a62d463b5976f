"""Unlearning Depth Score: how much of what gold's hidden states lack is missing from this model's, found by activation patching."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from annotated_types import Ge

from expunge.core.card import Card
from expunge.core.results import Measurement, Record, Records, unscored
from expunge.scoring.aggregate import beside_gold, mean_measurement
from expunge.scoring.per_row import no_rows
from expunge.scoring.representation import share_lost

card = Card(
    paper="Lee, Kim and Jo 2026",
    url="https://arxiv.org/abs/2605.24614",
    where="two-stage patching: per-layer erasure in proportion to gold's, weighted by gold's",
    family=("internals",),
    evidence="reconstructed",
    better=1.0,
    unit="share",
    needs=("teacher_forced", "activation_patching", "gold"),
    reads=("forget",),
    whole=True,
    differs="All tokens of the answer but the closing end-of-sequence token are patched and scored; the paper marks the entity within it "
    "and asks without a chat template.",
)

NO_ORIGINAL = "needs the model before unlearning, into which states are patched; give --original"


def unlearning_depth_score(records: Records, gold: Records | None = None, *, threshold: Annotated[float, Ge(0)] = 0.05) -> Measurement:
    """Mean over rows of sum_l g_l clip(u_l / g_l, 0, 1) / sum_l g_l over the layers with g_l > threshold; 0 = intact, 1 = as gold.

    u_l and g_l: what the original loses of the answer, nats a token, as block l puts out this model's states, or gold's. Rows of which gold
    lacks nothing are left out; n counts the others. Blocks + 1 forwards of the original a row for each of the two (counted in run.yaml).
    """
    rows = records.of("forget")
    if not rows:
        return unscored(no_rows("forget"), 1.0)
    if gold is not None and any("depth" not in r.observed for r in rows):
        return unscored(NO_ORIGINAL, 1.0)
    pairs = beside_gold(records, gold, "forget", ("depth",))
    if isinstance(pairs, str):
        return unscored(pairs, 1.0)
    kept: list[Record] = []
    scores: list[float] = []
    for r, other in pairs:
        u = r.observed["depth"].astype(np.float64)
        g = other.observed["depth"].astype(np.float64)
        if u.shape != g.shape:
            return unscored(f"gold has {len(g)} blocks, this model {len(u)}", 1.0)
        score = share_lost(u, g, threshold)
        if score is not None:
            kept.append(r)
            scores.append(score)
    if not kept:
        return unscored(f"gold lacks no more than {threshold} nats a token at any layer of any row: it knows what is to be forgotten", 1.0)
    return mean_measurement(np.array(scores), kept, 1.0)
