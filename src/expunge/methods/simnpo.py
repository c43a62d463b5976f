"""SimNPO: negative preference optimization without a start model, on the mean log-probability per
token.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated

from annotated_types import Ge, Gt

from expunge.core.card import Card
from expunge.core.stages import Descent, Term
from expunge.losses.objectives import simnpo_term
from expunge.losses.terms import nll, weighted

card = Card(
    paper="Fan et al. 2024",
    url="https://arxiv.org/abs/2410.07163",
    where="equation 4",
    family=("preference",),
    settings={
        # authors' TOFU/config/forget.yaml (forget05: beta 2.5, delta 0, npo_coeff 0.1375; 1 x 4
        # rows) and TOFU/README.md (8 GPUs): warm-up of one epoch
        "tofu": {
            "lr": 1e-5,
            "epochs": 10,
            "batch": 32,
            "warmup": 0.1,
            "weight_decay": 0.01,
        },
        "builtin": {"lr": 1.5e-3, "steps": 60, "batch": 16, "beta": 1.0, "forget_weight": 0.5},
    },
    tune={"lr": (5e-4, 1e-3, 1.5e-3), "beta": (1.0, 2.5), "forget_weight": (0.1, 0.3, 0.5)},
    differs="delta is multiplied by beta, as in the authors' code: the paper's margin is beta x "
    "delta",
    evidence="reference",
    claims="lowers_logp",
)


def simnpo(
    beta: Annotated[float, Gt(0)] = 2.5,
    delta: float = 0.0,
    forget_weight: Annotated[float, Ge(0)] = 0.1375,
    retain_term: Term = nll(stream="retain"),
    retain_weight: Annotated[float, Ge(0)] = 1.0,
) -> Descent:
    """SimNPO on the forget rows plus a retain term.

    beta: inverse temperature.
    delta: reward margin in nats per token.
    forget_weight: coefficient of the forget term.
    retain_term: what is kept, by which term.
    retain_weight: its coefficient.
    """
    forget = Term("forget", partial(simnpo_term, beta=beta, delta=delta), ("forget",), "seqmean")
    return Descent(
        "simnpo", (*weighted(forget, forget_weight), *weighted(retain_term, retain_weight))
    )
