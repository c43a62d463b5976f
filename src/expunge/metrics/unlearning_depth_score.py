"""Unlearning Depth Score: share of gold's missing knowledge that is missing, by patching."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge

from expunge.core.card import Card
from expunge.core.results import Measurement, Records
from expunge.scoring.aggregate import depth_score

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
    differs="All tokens of the answer but the closing end-of-sequence token are patched and "
    "scored; the paper marks the entity within it "
    "and asks without a chat template.",
)


def unlearning_depth_score(
    records: Records, gold: Records | None = None, *, threshold: Annotated[float, Ge(0)] = 0.05
) -> Measurement:
    """Mean over rows of sum_l g_l clip(u_l / g_l, 0, 1) / sum_l g_l over the layers with g_l >
    threshold; 0 = intact, 1 = as gold.

    u_l and g_l: what the original loses of the answer, nats a token, as block l puts out this
    model's states, or gold's. Rows of which gold lacks nothing are left out; n counts the others.
    Blocks + 1 forwards of the original a row for each of the two (counted in run.yaml).
    """
    return depth_score(
        records, gold, "depth", threshold, "no answer of role forget has a token to patch"
    )
