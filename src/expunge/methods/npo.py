"""Negative preference optimisation: push the forgotten answer down, more gently the further it has fallen."""

from __future__ import annotations

from functools import partial

from torch import Tensor
from torch.nn.functional import softplus

from expunge.core.types import Card, Descent, Term
from expunge.maths.passes import Pass, total
from expunge.maths.terms import nll, weighted

card = Card(
    paper="Zhang et al. 2024",
    url="https://arxiv.org/abs/2404.05868",
    where="equation 3",
    family=("preference",),
    settings={"tofu": {"lr": 1e-5, "epochs": 10, "batch": 32, "weight_decay": 0.01}},  # paper and OpenUnlearning: lr 1e-5, 10 epochs
    evidence="reference",
    claims="lowers_logp",
)


def npo_term(p: Pass, *, beta: float) -> Tensor:
    """(2/beta) log(1 + (pi/pi_start)^beta), pi the probability of the whole answer: [B, T] -> [B], nats.

    Bounded below by 0; at the start model its gradient is that of ascent. beta -> 0 is plain ascent (up to a constant).
    """
    assert p.logp is not None and p.start_logp is not None
    return 2 / beta * softplus(beta * total(p.logp - p.start_logp, p.mask))


def npo(beta: float = 0.1, retain_term: Term = nll(stream="retain"), retain_weight: float = 1.0) -> Descent:
    """NPO on the forget rows plus a retain term.

    beta: inverse temperature (> 0).
    retain_term: what is kept, by which term.
    retain_weight: its coefficient (>= 0).
    """
    forget = Term("forget", partial(npo_term, beta=beta), ("forget",), "seqsum", frozenset({"start_logp"}))
    return Descent("npo", (forget, *weighted(retain_term, retain_weight)))
