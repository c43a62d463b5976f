"""EUL: layers that move away from the start model on forget rows and match it on retain rows."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from annotated_types import Ge, Gt

from expunge.core.card import Card
from expunge.core.stages import Adapter, Descent, Term
from expunge.losses.objectives import away, bounded_ascent_term
from expunge.losses.terms import kl, nll, weighted

card = Card(
    paper="Chen and Yang 2023",
    url="https://arxiv.org/abs/2310.20150",
    where="section 3, unlearning layers",
    family=("distillation", "adapter"),
    settings={"builtin": {"lr": 5e-3, "steps": 60, "batch": 16}},
    tune={"lr": (2e-3, 5e-3, 1e-2), "ascent_weight": (0.1, 0.5), "cap": (3.0, 6.0)},
    differs="the loss is written from memory of the paper (its code holds none); the layer is an "
    "adapter on the MLPs' output matrices; "
    "what is unbounded there stops at a cap per token; to fuse several requests see "
    "losses.weight_deltas.regression_mean",
    evidence="reconstructed",
    claims="lowers_logp",
)


def eul(
    away_weight: Annotated[float, Ge(0)] = 1.0,
    close_weight: Annotated[float, Ge(0)] = 1.0,
    ascent_weight: Annotated[float, Ge(0)] = 0.5,
    cap: Annotated[float, Gt(0)] = 4.0,
    rank: Annotated[int, Gt(0)] = 16,
    retain_term: Term = nll(stream="retain"),
    retain_weight: Annotated[float, Ge(0)] = 1.0,
) -> Descent:
    """close KL(retain) - away KL(forget) + retain term - ascent NLL(forget), KL(start || model);
    the layer alone is trained.

    away_weight: coefficient of the distance to the start model on forget answers.
    close_weight: coefficient of the closeness to it on retain answers.
    ascent_weight: coefficient of the ascent on forget answers.
    cap: nats per token at which both stop pushing.
    rank: rank and alpha of the layer.
    retain_term: what is kept, by which term.
    retain_weight: its coefficient.
    """
    push = Term("forget", partial(bounded_ascent_term, cap=cap), ("forget",))
    forget = (*weighted(away("forget", cap), away_weight), *weighted(push, ascent_weight))
    kept = (
        *weighted(kl(stream="retain", span="answer"), close_weight),
        *weighted(retain_term, retain_weight),
    )
    return Descent(
        "eul", (*forget, *kept), adapter=Adapter(rank, float(rank), targets=r"down_proj\.weight$")
    )
