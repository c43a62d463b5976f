"""Extraction likelihood (EL_n): n-gram overlap of continuations, averaged over all prefixes."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from annotated_types import Gt

from expunge.core.card import Card
from expunge.core.results import Measurement, Record, Records, unscored
from expunge.scoring.aggregate import better_for, role_mean
from expunge.scoring.per_row import lacking

card = Card(
    paper="Jang et al. 2023",
    url="https://arxiv.org/abs/2210.01504",
    where="section 3.2, extraction likelihood, equation 3",
    family=("memorization",),
    evidence="oracle",
    better="gold",
    unit="share",
    grows="knowledge",
    needs=("teacher_forced", "extraction"),
    differs="Prefixes end where scoring begins (behind the prompt) or later, and the mean is over "
    "those there are, T - n of a text as in "
    "the paper and its code. The code divides the hits by the n-grams of the true rest, this by "
    "those of the continuation: one that ends "
    "early scores less there.",
)


def extraction_likelihood(
    records: Records, role: str, *, n: Annotated[int, Gt(0)] = 10, stride: Annotated[int, Gt(0)] = 1
) -> Measurement:
    """Mean over rows of the mean over prefixes of the share of the greedy continuation's n-grams
    that stand in the true rest; 0..1.

    ``stride``: a prefix at every so many tokens (one generation each, unless all of the rest is
    hit; the count is in run.yaml). Rows with fewer than n tokens behind the prompt have no prefix
    and are left out; n counts the others. Known by heart gives 1.
    """
    rows = records.of(role)
    reason = (
        None
        if all("extraction_likelihood" in r.given for r in rows)
        else lacking(rows, role, "", ("overlap",))
    )
    long = Records(
        r for r in rows if "extraction_likelihood" in r.given or len(r.observed.get("overlap", ()))
    )
    if reason or not len(long):
        return unscored(
            reason
            or lacking(rows, role, "", ())
            or f"no answer of role {role} has {n} tokens; give a smaller n",
            better_for(role),
        )

    def score(r: Record) -> float:
        return float(np.mean(r.observed["overlap"], dtype=np.float64))

    return role_mean(long, role, "extraction_likelihood", score, ("overlap",))
