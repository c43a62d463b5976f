"""Entity depth score: share of what gold's states lack of the answer's entities that is missing."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge

from expunge.core.card import Card
from expunge.core.results import Measurement, Records
from expunge.scoring.aggregate import depth_score

card = Card(
    paper="Lee, Kim and Jo 2026",
    url="https://arxiv.org/abs/2605.24614",
    where="two-stage patching at the entity span: per-layer erasure in proportion to gold's, "
    "weighted by gold's",
    family=("internals",),
    evidence="reconstructed",
    better=1.0,
    unit="share",
    needs=("entity_patching", "gold"),
    reads=("forget",),
    whole=True,
    differs="Entities are the marked spans of a row, or else the names and numbers of its answer "
    "that its question does not say, found by "
    "spelling; the paper's are annotated. Asked with the model's own template.",
)


def entity_depth_score(
    records: Records, gold: Records | None = None, *, threshold: Annotated[float, Ge(0)] = 0.05
) -> Measurement:
    """Mean over rows of sum_l g_l clip(u_l / g_l, 0, 1) / sum_l g_l over the layers with g_l >
    threshold; 0 = intact, 1 = as gold.

    u_l and g_l: what the original loses of the entities' tokens, nats a token, as block l puts out
    this model's states there, or gold's. An answer has many words that every model knows; these are
    the ones that were to be forgotten. Rows without an entity, or of which gold lacks nothing, are
    left out; n counts the others. Blocks + 1 forwards of the original a row for each of the two.
    """
    return depth_score(
        records,
        gold,
        "entity_depth",
        threshold,
        "no answer of role forget has an entity; mark the sensitive spans of the rows",
    )
