"""Membership by the least likely tokens: a text that was seen has no very unlikely ones."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Interval

from expunge.core.card import Card
from expunge.core.results import Measurement, Records
from expunge.scoring.aggregate import membership_auc
from expunge.scoring.per_row import min_k_of

card = Card(
    paper="Shi et al. 2023",
    url="https://arxiv.org/abs/2310.16789",
    where="Min-K% Prob",
    family=("membership",),
    evidence="reference",
    better="gold",
    unit="auc",
    grows="knowledge",
    needs=("teacher_forced",),
    reads=("forget", "holdout"),
    whole=True,
    differs="k=0.4 as MUSE and open-unlearning, the paper uses 0.2. At least one token counts, "
    "where int(k n) would be 0.",
)


def mia_min_k(
    records: Records,
    gold: Records | None = None,
    *,
    k: Annotated[float, Interval(gt=0, le=1)] = 0.4,
    eos: bool = False,
) -> Measurement:
    """AUC of the mean log-probability of the k least likely tokens (k a fraction): P(forget >
    holdout), 0..1.

    ``eos`` counts the end-of-sequence token. ``gold`` is not used.
    """
    return membership_auc(records, "mia_min_k", lambda r: min_k_of(r, k, eos), ("logp",))
