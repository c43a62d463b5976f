"""Entity depth score: how much of what gold's hidden states lack of the answers' entities is missing from this model's."""

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
    where="two-stage patching at the entity span: per-layer erasure in proportion to gold's, weighted by gold's",
    family=("internals",),
    evidence="reconstructed",
    better=1.0,
    unit="share",
    needs=("entity_patching", "gold"),
    reads=("forget",),
    whole=True,
    differs="Entities are the marked spans of a row, or else the names and numbers of its answer that its question does not say, found by "
    "spelling; the paper's are annotated. Asked with the model's own template.",
)


def entity_depth_score(records: Records, gold: Records | None = None, *, threshold: Annotated[float, Ge(0)] = 0.05) -> Measurement:
    """Mean over rows of sum_l g_l clip(u_l / g_l, 0, 1) / sum_l g_l over the layers with g_l > threshold; 0 = intact, 1 = as gold.

    u_l and g_l: what the original loses of the entities' tokens, nats a token, as block l puts out this model's states there, or gold's.
    An answer has many words that every model knows; these are the ones that were to be forgotten. Rows without an entity, or of which
    gold lacks nothing, are left out; n counts the others. Blocks + 1 forwards of the original a row for each of the two.
    """
    rows = records.of("forget")
    if not rows:
        return unscored(no_rows("forget"), 1.0)
    if gold is not None and any("entity_depth" not in r.observed for r in rows):
        return unscored("needs the model before unlearning, into which states are patched; give --original", 1.0)
    pairs = beside_gold(records, gold, "forget", ("entity_depth",))
    if isinstance(pairs, str):
        return unscored(pairs, 1.0)
    named = [(r, other) for r, other in pairs if len(r.observed["entity_depth"])]
    if not named:
        return unscored("no answer of role forget has an entity; mark the sensitive spans of the rows", 1.0)
    kept: list[Record] = []
    scores: list[float] = []
    for r, other in named:
        mine, theirs = (np.asarray(x.observed["entity_depth"], dtype=np.float64) for x in (r, other))
        if mine.shape != theirs.shape:
            return unscored(f"gold has {len(theirs)} blocks, this model {len(mine)}", 1.0)
        score = share_lost(mine, theirs, threshold)
        if score is not None:
            kept.append(r)
            scores.append(score)
    if not kept:
        return unscored(f"gold lacks no more than {threshold} nats a token at any layer of any row: it knows what is to be forgotten", 1.0)
    return mean_measurement(np.array(scores), kept, 1.0)
