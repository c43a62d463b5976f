"""Membership by the least likely tokens, each against what the model expected at its place."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Gt, Interval

from expunge.core.card import Card
from expunge.core.results import Measurement, Records
from expunge.scoring.aggregate import membership_auc
from expunge.scoring.per_row import min_k_plus_plus_of

card = Card(
    paper="Zhang et al. 2024",
    url="https://arxiv.org/abs/2404.02936",
    where="Min-K%++",
    family=("membership",),
    evidence="reference",
    better="gold",
    unit="auc",
    grows="knowledge",
    needs=("teacher_forced", "moments"),
    reads=("forget", "holdout"),
    whole=True,
    differs="k=0.4 as open-unlearning, the authors' code uses 0.2. The variance is kept above "
    "1e-6, as in open-unlearning.",
)


def mia_min_k_plus_plus(
    records: Records,
    gold: Records | None = None,
    *,
    k: Annotated[float, Interval(gt=0, le=1)] = 0.4,
    eos: bool = False,
    least_variance: Annotated[float, Gt(0)] = 1e-6,
) -> Measurement:
    """AUC of the mean of the k lowest (log p - mu) / sigma: P(forget > holdout), 0..1.

    mu and sigma^2 are mean and variance of log p(v) under the model's own distribution at that
    place. ``eos`` counts the end-of-sequence token. ``gold`` is not used.
    """

    return membership_auc(
        records,
        "mia_min_k_plus_plus",
        lambda r: min_k_plus_plus_of(r, k, eos, least_variance),
        ("logp", "mean_logp", "var_logp"),
    )
