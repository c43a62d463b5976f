"""PDU: flatten the forget logits under a bound on the retain loss, by primal-dual steps."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Annotated

from annotated_types import Ge, Interval
from torch import Tensor

from expunge.core.card import Card
from expunge.core.stages import Controller, Descent, Term
from expunge.losses.inputs import LossInputs, scatter, total
from expunge.losses.terms import nll, weighted

card = Card(
    paper="Entesari et al. 2025",
    url="https://arxiv.org/abs/2506.05314",
    where="constrained entropic unlearning, primal-dual updates",
    family=("margin", "constrained"),
    settings={
        # authors' community/methods/PDU/run.sh in open-unlearning (8 GPUs x 4 rows, 4 times
        # accumulated), 10 epochs for Llama-3.2 1B and 3B (8B: 30, Gemma: 20); warm-up of one
        # epoch
        "tofu": {
            "lr": 1e-5,
            "epochs": 10,
            "batch": 32,
            "accumulate": 4,
            "warmup": 0.1,
            "weight_decay": 0.01,
        },
        "builtin": {
            "lr": 1e-3,
            "steps": 60,
            "batch": 16,
            "multiplier": 300.0,
            "retain_bound": 0.02,
        },
    },
    tune={"lr": (5e-4, 1e-3), "multiplier": (100.0, 300.0, 1000.0)},
    differs="a token is flattened where it is predicted (open-unlearning's mask is one place "
    "late); one dual step an optimizer step, with "
    "the whole step's retain loss",
    evidence="reference",
    claims="lowers_logp",
)


def flatness_rows(logits: Tensor) -> Tensor:
    """(max_k z_k - mean_k z_k)^2 of each row: [N, V] -> [N], >= 0, 0 only where all words are
    alike. A shift changes nothing.
    """
    return (logits.amax(-1) - logits.mean(-1)).square()


def pdu_term(p: LossInputs) -> Tensor:
    """The sum of it over the rows that predict the answer's tokens: [N, V] -> [B]."""
    assert p.logits is not None
    return total(scatter(flatness_rows(p.logits), p), p.mask)


def factors(state: Mapping[str, float], progress: float, *, name: str) -> dict[str, float]:
    """The retain term's coefficient is the multiplier."""
    return {name: state["lambda"]}


def dual_step(
    state: Mapping[str, float],
    values: Mapping[str, float],
    progress: float,
    *,
    name: str,
    step: float,
    bound: float,
    warmup: float,
) -> dict[str, float]:
    """lambda <- max(0, lambda + step (loss - bound)) after every step, but for the first ``warmup``
    of them.
    """
    moved = step * (values[name] - bound) if progress >= warmup else 0.0
    return {"lambda": max(0.0, state["lambda"] + moved)}


def pdu(
    multiplier: Annotated[float, Ge(0)] = 100.0,
    dual_step_size: Annotated[float, Ge(0)] = 5.0,
    retain_bound: Annotated[float, Ge(0)] = 0.3,
    dual_warmup: Annotated[float, Interval(ge=0, le=1)] = 0.5,
    forget_weight: Annotated[float, Ge(0)] = 1.0,
    retain_term: Term = nll(stream="retain"),
) -> Descent:
    """Flatten the rows that predict forget answers; the retain term's coefficient grows while its
    loss is above the bound.

    multiplier: the retain term's coefficient at the start.
    dual_step_size: how fast it moves per nat above or below the bound; 0 keeps it.
    retain_bound: the retain loss that is allowed, in nats per token.
    dual_warmup: share of the steps before the multiplier moves.
    forget_weight: coefficient of the forget term.
    retain_term: what is kept, by which term.
    """
    forget = weighted(
        Term("forget", pdu_term, ("forget",), "tok", frozenset({"logits"})), forget_weight
    )
    if not dual_step_size:
        return Descent("pdu", (*forget, *weighted(retain_term, multiplier)))
    name = retain_term.name
    after = partial(
        dual_step, name=name, step=dual_step_size, bound=retain_bound, warmup=dual_warmup
    )
    dual = Controller(
        first={"lambda": multiplier}, factors=partial(factors, name=name), after=after
    )
    return Descent("pdu", (*forget, retain_term), controller=dual)
