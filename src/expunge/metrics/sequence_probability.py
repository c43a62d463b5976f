"""Sequence probability: the probability of the whole right answer in one sample, end included."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import numpy as np
from annotated_types import Gt
from scipy.special import logsumexp

from expunge.core.card import Card
from expunge.core.results import Measurement, Record, Records, unscored
from expunge.scoring.aggregate import better_for, role_mean
from expunge.scoring.prefixes import TOO_SHORT

card = Card(
    paper="Hayes et al. 2025",
    url="https://arxiv.org/abs/2410.19482",
    where="probabilistic extraction: (n, p)-discoverable extraction",
    family=("leak",),
    evidence="theorem",
    better="gold",
    unit="share",
    grows="knowledge",
    needs=("teacher_forced",),
)


def sequence_probability(
    records: Records, role: str, *, draws: Annotated[int, Gt(0)] = 1
) -> Measurement:
    """Mean over rows of the probability that the exact answer comes at least once in ``draws``
    samples at temperature 1; 0..1.

    1 - (1 - p)^draws with p = exp(sum of the tokens' log-probabilities, end-of-sequence token
    included). No sample is needed: 1/p draws are expected until the first leak. Other wordings leak
    too; see ``leak_probability``. Of a plain text the first half is given and the rest must come
    (see ``verbatim_rate``).

    Long answers have probabilities that no decimal shows, and below 1e-308 no float holds: among
    the parts are ``log10`` of the value, made in log space, and ``mean_log10``, the mean over rows
    of each row's own (a likely row does not hide the others there).
    """

    def score(r: Record) -> float:
        return float(np.exp(_log_chance(_total(r), draws)))

    every = records.of(role)
    if every and all(r.prefix == 0 for r in every):
        return unscored(f"all {len(every)} texts of role {role} have {TOO_SHORT}", better_for(role))
    rows = [r for r in every if r.prefix != 0]
    found = role_mean(Records(rows), role, "sequence_probability", score, ("logp",))
    if found.value is None or any(r.logp is None and r.mean_loss is None for r in rows):
        return found
    logs = np.array([_log_chance(_total(r), draws) for r in rows])
    whole = float(logsumexp(logs)) - np.log(len(logs))
    parts = {"log10": float(whole / np.log(10)), "mean_log10": float(logs.mean() / np.log(10))}
    return replace(found, parts=parts)


def _total(r: Record) -> float:
    """log p of the whole answer, of a plain text of what stands behind the tokens that are given;
    nats, <= 0.
    """
    found = (
        float(np.sum(r.logp[r.prefix or 0 :], dtype=np.float64))
        if r.logp is not None
        else -r.loss * r.n_tokens
    )
    return min(found, 0.0)


def _log_chance(total: float, draws: int) -> float:
    """log(1 - (1 - p)^draws) for log p = ``total``; where p is too small to be told from 0 beside
    1, log(draws p).
    """
    if total > -1e-300:
        return 0.0
    if total < -500:
        return min(0.0, total + float(np.log(draws)))
    none = draws * float(np.log1p(-np.exp(total)))
    return float(np.log(-np.expm1(none)))
