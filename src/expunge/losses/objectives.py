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
    """NPO: (2/beta) log(1 + (pi/pi_start)^beta), pi the probability of the whole answer.

    Bounded below by 0; at the start model its gradient is that of ascent. beta -> 0 is plain ascent
    (up to a constant).

    Args:
        p: The scored tokens of a batch, with ``logp`` and ``start_logp``.
        beta: The inverse temperature, above 0.

    Returns:
        One value per row, [B], in nats.
    """
    assert p.logp is not None and p.start_logp is not None
    return 2 / beta * softplus(beta * total(p.logp - p.start_logp, p.mask))


def mean_npo_term(p: LossInputs, *, beta: float) -> Tensor:
    """NPO with the mean log-probability per token in place of the answer's sum.

    Args:
        p: The scored tokens of a batch, with ``logp`` and ``start_logp``.
        beta: The inverse temperature, above 0.

    Returns:
        One value per row, [B], in nats.
    """
    assert p.logp is not None and p.start_logp is not None
    return 2 / beta * softplus(beta * mean(p.logp - p.start_logp, p.mask))


def simnpo_term(p: LossInputs, *, beta: float, delta: float) -> Tensor:
    """SimNPO: (2/beta) log(1 + exp(-beta (NLL/T - delta))), T the tokens of the answer.

    Args:
        p: The scored tokens of a batch, with ``logp``.
        beta: The inverse temperature, above 0.
        delta: The margin of the mean negative log-likelihood.

    Returns:
        One value per row, [B], in nats.
    """
    assert p.logp is not None
    return 2 / beta * softplus(beta * (mean(p.logp, p.mask) + delta))


def satimp_term(p: LossInputs, *, beta1: float, beta2: float) -> Tensor:
    """SatImp: -sum_t sg(p_t^beta1 (1 - p_t)^beta2) NLL_t, p_t the probability of token t.

    (b, 0) is WGA, (0, 0) plain ascent. The weight is largest at p = beta1 / (beta1 + beta2).

    Args:
        p: The scored tokens of a batch, with ``logp``.
        beta1: The exponent of p_t.
        beta2: The exponent of 1 - p_t.

    Returns:
        One value per row, [B], in nats.
    """
    assert p.logp is not None
    return ascent_values(p, power(p.logp, beta1, beta2), "tok")


def away_term(p: LossInputs, *, cap: float) -> Tensor:
    """-sum_t min(KL(teacher || model)_t, cap): away from the teacher.

    Args:
        p: The scored tokens of a batch, with ``teacher`` and ``logits``.
        cap: The divergence from which a token has no gradient.

    Returns:
        One value per row, [B], in nats.
    """
    assert p.teacher is not None and p.logits is not None
    return -total(scatter(kl_rows(p.teacher, p.logits).clamp(max=cap), p), p.mask)


def bounded_ascent_term(p: LossInputs, *, cap: float) -> Tensor:
    """-sum_t min(NLL_t, cap): ascent that stops at a token once it costs that much.

    Args:
        p: The scored tokens of a batch, with ``logp``.
        cap: The negative log-likelihood from which a token has no gradient.

    Returns:
        One value per row, [B], in nats.
    """
    assert p.logp is not None
    return -total((-p.logp).clamp(max=cap), p.mask)


def away(stream: str, cap: float) -> Term:
    """Leave the start model: minus the mean KL(start || model) over the answers of a stream.

    Args:
        stream: The stream of the rows.
        cap: How much of each token's divergence counts.

    Returns:
        The term.
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
    """The forget term of a method by its name.

    Args:
        objective: The name.
        beta: Its beta; 0 takes the one of its paper.

    Returns:
        The term.
    """
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
