"""Prefer 'I do not know' over the forgotten answer: direct preference optimisation with refusals as the winners."""

from __future__ import annotations

from functools import partial

from torch import Tensor
from torch.nn.functional import softplus

from expunge.core.types import Card, Descent, Term
from expunge.maths.passes import Pass, total
from expunge.maths.terms import nll, weighted

card = Card(
    paper="Maini et al. 2024; Rafailov et al. 2023",
    url="https://arxiv.org/abs/2401.06121",
    where="TOFU section 3.2, preference optimisation",
    family=("preference", "refusal"),
    settings={"tofu": {"lr": 2e-5, "epochs": 10, "batch": 32}},  # AltPO's tuned IdkDPO baseline: lr 2e-5, 10 epochs, retain weight 1
    differs="the factor is 2/beta as in NPO and open-unlearning (TRL's DPO has none); the winner's refusal is fixed per row",
    evidence="reference",
    claims="raises_refusal",
)


def idk_dpo_term(win: Pass, lose: Pass, *, beta: float) -> Tensor:
    """(2/beta) log(1 + exp(-beta (r_win - r_lose))), r = log pi - log pi_start of the whole answer: [B], nats."""
    assert win.logp is not None and win.start_logp is not None and lose.logp is not None and lose.start_logp is not None
    r_win = total(win.logp - win.start_logp, win.mask)
    r_lose = total(lose.logp - lose.start_logp, lose.mask)
    return 2 / beta * softplus(-beta * (r_win - r_lose))


def idk_dpo(beta: float = 0.1, retain_term: Term = nll(stream="retain"), retain_weight: float = 1.0) -> Descent:
    """DPO with a refusal as the win and the true answer as the lose answer, plus a retain term.

    beta: inverse temperature (> 0).
    retain_term: what is kept, by which term.
    retain_weight: its coefficient (>= 0).
    """
    forget = Term("forget", partial(idk_dpo_term, beta=beta), ("alternate", "forget"), "seqsum", frozenset({"start_logp"}))
    return Descent("idk_dpo", (forget, *weighted(retain_term, retain_weight)))
