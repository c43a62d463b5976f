"""Unlikelihood: raise the likelihood of every token except the one to be forgotten."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import torch
from annotated_types import Ge, Le
from torch import Tensor

from expunge.core.card import Card
from expunge.core.stages import Descent, Term
from expunge.losses.inputs import LossInputs, scatter, total
from expunge.losses.terms import nll, weighted

card = Card(
    paper="Welleck et al. 2019; Tamirisa et al. 2024",
    url="https://arxiv.org/abs/2408.00761",
    where="the log(1 - p) loss of TAR's code; unlikelihood training is arXiv 1908.04319",
    family=("gradient ascent",),
    settings={"builtin": {"lr": 2e-3, "steps": 60, "batch": 16, "retain_weight": 10.0}},
    tune={"lr": (3e-4, 5e-4, 1e-3), "retain_weight": (1.0, 3.0, 10.0)},
    differs="tokens below the threshold stay in the mean's denominator, as in TAR's code; the "
    "retain term is ours",
    evidence="oracle",
    claims="lowers_logp",
)


def unlikely_rows(logits: Tensor, labels: Tensor, threshold: float) -> Tensor:
    """-log(1 - p_y) of each row, 0 where log p_y < threshold: [N, V], [N] -> [N], nats, >= 0.

    Gradient p_y/(1-p_y) on -NLL.

    As a difference of two log-sums, which stays exact where p_y rounds to 1.
    """
    z = logits.to(torch.promote_types(logits.dtype, torch.float32))
    all_words = z.logsumexp(-1)
    others = z.scatter(-1, labels[:, None], -torch.inf).logsumexp(-1)
    logp = z.gather(-1, labels[:, None])[:, 0] - all_words
    return (all_words - others) * (logp >= threshold)


def unlikelihood_term(p: LossInputs, *, threshold: float) -> Tensor:
    """Sum over the answer's tokens of -log(1 - p_t): [N, V] -> [B], nats, >= 0."""
    assert p.logits is not None and p.at is not None
    return total(scatter(unlikely_rows(p.logits, p.labels[p.at], threshold), p), p.mask)


def unlikelihood(
    threshold: Annotated[float, Le(0)] = -15.0,
    retain_term: Term = nll(stream="retain"),
    retain_weight: Annotated[float, Ge(0)] = 1.0,
) -> Descent:
    """Mean -log(1 - p) over the forget answers' tokens plus a retain term.

    threshold: tokens with a log-probability below it count 0 (TAR: -15).
    retain_term: what is kept, by which term.
    retain_weight: its coefficient.
    """
    forget = Term(
        "forget",
        partial(unlikelihood_term, threshold=threshold),
        ("forget",),
        "tok",
        frozenset({"logits"}),
    )
    return Descent("unlikelihood", (forget, *weighted(retain_term, retain_weight)))
