"""Forget losses that more than one method takes: pure functions of a LossInputs, and the choice
among them by name.
"""

from __future__ import annotations

from functools import partial
from typing import Literal

from torch import Tensor
from torch.nn.functional import softplus

from expunge.core.stages import Teacher, Term
from expunge.losses.inputs import LossInputs, mean, scatter, total
from expunge.losses.reweighting import ascent_values, power
from expunge.losses.terms import ascent, kl_rows

Objective = Literal["ga", "npo", "simnpo", "wga"]
USUAL_BETA = {"ga": 0.0, "npo": 0.1, "simnpo": 2.5, "wga": 1.0}  # what each paper took


def npo_term(p: LossInputs, *, beta: float) -> Tensor:
    """(2/beta) log(1 + (pi/pi_start)^beta), pi the probability of the whole answer: [B, T] -> [B],
    nats.

    Bounded below by 0; at the start model its gradient is that of ascent. beta -> 0 is plain ascent
    (up to a constant).
    """
    assert p.logp is not None and p.start_logp is not None
    return 2 / beta * softplus(beta * total(p.logp - p.start_logp, p.mask))


def mean_npo_term(p: LossInputs, *, beta: float) -> Tensor:
    """The same of the answer's mean log-probability per token in place of its sum: [B, T] -> [B],
    nats.
    """
    assert p.logp is not None and p.start_logp is not None
    return 2 / beta * softplus(beta * mean(p.logp - p.start_logp, p.mask))


def simnpo_term(p: LossInputs, *, beta: float, delta: float) -> Tensor:
    """(2/beta) log(1 + exp(-beta (NLL/T - delta))), NLL/T the mean over the answer's T tokens: [B,
    T] -> [B], nats.
    """
    assert p.logp is not None
    return 2 / beta * softplus(beta * (mean(p.logp, p.mask) + delta))


def satimp_term(p: LossInputs, *, beta1: float, beta2: float) -> Tensor:
    """-sum_t sg(p_t^beta1 (1 - p_t)^beta2) NLL_t, p_t the probability of token t: [B, T] -> [B],
    nats.

    (b, 0) is WGA, (0, 0) plain ascent. The weight is largest at p = beta1 / (beta1 + beta2).
    """
    assert p.logp is not None
    return ascent_values(p, power(p.logp, beta1, beta2), "tok")


def away_term(p: LossInputs, *, cap: float) -> Tensor:
    """-sum_t min(KL(teacher || model)_t, cap): away from the teacher, without gradient once a token
    is that far: [N, V] -> [B], nats.
    """
    assert p.teacher is not None and p.logits is not None
    return -total(scatter(kl_rows(p.teacher, p.logits).clamp(max=cap), p), p.mask)


def bounded_ascent_term(p: LossInputs, *, cap: float) -> Tensor:
    """-sum_t min(NLL_t, cap): ascent that leaves a token alone once it costs that much: [B, T] ->
    [B], nats.
    """
    assert p.logp is not None
    return -total((-p.logp).clamp(max=cap), p.mask)


def away(stream: str, cap: float) -> Term:
    """Leave the start model: minus the mean KL(start || model) over the answers of a stream, each
    token's KL counted up to ``cap``.
    """
    return Term(
        "away/" + stream,
        partial(away_term, cap=cap),
        (stream,),
        "tok",
        frozenset({"teacher"}),
        Teacher(),
    )


def objective_term(objective: Objective, beta: float = 0.0) -> Term:
    """The forget term of a method by its name; ``beta`` 0 takes the one its paper took."""
    b = beta or USUAL_BETA[objective]
    made = {
        "ga": ascent(stream="forget"),
        "npo": Term(
            "forget", partial(npo_term, beta=b), ("forget",), "seqsum", frozenset({"start_logp"})
        ),
        "simnpo": Term("forget", partial(simnpo_term, beta=b, delta=0.0), ("forget",), "seqmean"),
        "wga": Term("forget", partial(satimp_term, beta1=b, beta2=0.0), ("forget",)),
    }
    return made[objective]
