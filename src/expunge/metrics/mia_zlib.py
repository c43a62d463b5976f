"""Membership by loss against compressibility: likely although not a simple text."""

from __future__ import annotations

from typing import Literal

from expunge.core.card import Card
from expunge.core.results import Measurement, Record, Records, unscored
from expunge.scoring.aggregate import membership_auc

card = Card(
    paper="Carlini et al. 2021",
    url="https://arxiv.org/abs/2012.07805",
    where="zlib entropy",
    family=("membership",),
    evidence="reference",
    better="gold",
    unit="auc",
    grows="knowledge",
    needs=("teacher_forced",),
    reads=("forget", "holdout"),
    whole=True,
    differs="Published values divide the mean log-probability by the compressed length, which "
    "counts the length "
    "twice; loss='total' divides the sum. The two are not monotone in each other.",
)


def mia_zlib(
    records: Records, gold: Records | None = None, *, loss: Literal["mean", "total"] = "mean"
) -> Measurement:
    """AUC of (mean or total log-probability, eos included) / zlib bytes of the answer's text:
    P(forget > holdout), 0..1.

    ``loss='mean'`` is the form of open-unlearning, which published numbers need. ``gold`` is not
    used.
    """
    if loss not in ("mean", "total"):
        return unscored(f"loss is mean or total, not {loss!r}", "gold")

    def score(r: Record) -> float:
        return -r.loss * (r.n_tokens if loss == "total" else 1) / r.zlib

    return membership_auc(records, "mia_zlib", score, ("loss", "zlib"))
