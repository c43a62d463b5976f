"""Perplexity: the exponential of the mean loss on the right answers."""

from __future__ import annotations

from typing import Literal

import numpy as np

from expunge.core.card import Card
from expunge.core.results import Better, Measurement, Records, unscored
from expunge.scoring.aggregate import better_for, groups_of
from expunge.scoring.bootstrap import mean_draws, percentile_interval
from expunge.scoring.per_row import lacking, not_finite

card = Card(
    paper="Jelinek et al. 1977",
    url="https://huggingface.co/docs/transformers/perplexity",
    where="exponential of the average negative log-likelihood",
    evidence="oracle",
    better="gold",
    unit="tokens",
    needs=("teacher_forced",),
)


def perplexity(
    records: Records, role: str, *, by: Literal["tokens", "rows"] = "tokens"
) -> Measurement:
    """exp(sum of the losses of all tokens of the role / number of tokens), closing end tokens
    included; 1 to infinity.

    A uniform model over V tokens gives V whatever the lengths. Tokens, not rows, have equal weight;
    ``by="rows"`` is the exponential of the mean over rows of their mean losses (KnowUnDo). Lower is
    better on what is to be kept, gold's is on forget. A mean loss beyond 700 nats has no perplexity
    in floating point and is unscored.
    """
    rows = records.of(role)
    better: Better = "gold" if better_for(role) == "gold" else "lower"
    reason = lacking(rows, role, "", ("loss",))
    if reason:
        return unscored(reason, better)
    tokens = np.array([r.n_tokens for r in rows], dtype=np.float64)
    if by == "rows":
        tokens = np.ones_like(tokens)  # each row weighs as one token of its mean loss
    losses = np.array([r.loss for r in rows]) * tokens
    reason = not_finite(losses, role) or (
        "some rows do not say how many tokens they have" if (tokens < 1).any() else None
    )
    if reason or losses.sum() / tokens.sum() > 700:
        return unscored(reason or f"the mean loss of role {role} is beyond 700 nats", better)
    groups = groups_of(rows)
    value = float(np.exp(losses.sum() / tokens.sum()))
    several = len(set(groups)) > 1
    drawn = mean_draws(np.stack([losses, tokens]), groups) if several else None
    interval = None
    if drawn is not None:  # stretched as a mean loss, so that it stays above 0
        lo, hi = percentile_interval(
            drawn[:, 0] / drawn[:, 1], float(np.log(value)), len(set(groups))
        )
        interval = (float(np.exp(max(lo, 0.0))), float(np.exp(min(hi, 700.0))))
    return Measurement(value, len(rows), len(set(groups)), interval, better)
