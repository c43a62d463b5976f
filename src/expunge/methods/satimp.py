"""SatImp: gradient ascent that down-weights tokens of very low and of very high probability."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from annotated_types import Ge

from expunge.core.card import Card
from expunge.core.stages import Descent, Term
from expunge.losses.objectives import satimp_term
from expunge.losses.terms import nll, weighted

card = Card(
    paper="Yang et al. 2025; Wang et al. 2025",
    url="https://arxiv.org/abs/2505.11953",
    where="saturation and importance; weighted gradient ascent is arXiv 2502.19301",
    family=("gradient ascent", "reweighting"),
    settings={
        # authors' README.md (2 x 8 rows), config/forget_sat.yaml, forget_sat.py, Llama-2-7b:
        # warm-up of one epoch
        "tofu": {
            "lr": 1e-5,
            "epochs": 5,
            "batch": 16,
            "warmup": 0.2,
            "weight_decay": 0.0,
        },
        # open-unlearning community/methods/WGA/run.sh; its unlearn/tofu/default.yaml overrules
        # WGA.yaml's 5 epochs; warm-up of one epoch
        "wga:tofu": {
            "lr": 1e-5,
            "epochs": 10,
            "batch": 32,
            "warmup": 0.1,
            "weight_decay": 0.01,
        },
        "builtin": {"lr": 1e-3, "steps": 60, "batch": 16},
        "wga:builtin": {"lr": 1e-3, "steps": 60, "batch": 16},
    },
    tune={"lr": (5e-4, 1e-3, 2e-3), "beta1": (1.0, 5.0), "retain_weight": (0.1, 0.3, 1.0)},
    published_as={"wga": {"beta1": 1.0, "beta2": 0.0, "retain_weight": 1.0}},
    differs="defaults are those of the authors' code (open-unlearning: beta2 1, forget 0.1, retain "
    "1); WGA's own code has a beta of 5",
    evidence="reference",
    claims="lowers_logp",
)


def satimp(
    beta1: Annotated[float, Ge(0)] = 5.0,
    beta2: Annotated[float, Ge(0)] = 0.1,
    forget_weight: Annotated[float, Ge(0)] = 1.0,
    retain_term: Term = nll(stream="retain"),
    retain_weight: Annotated[float, Ge(0)] = 0.1,
) -> Descent:
    """Ascent weighted token by token, p^beta1 (1-p)^beta2, plus a retain term.

    beta1: how fast the weight falls as a token is forgotten.
    beta2: how fast it falls towards certainty; 0 is weighted gradient ascent (WGA).
    forget_weight: coefficient of the forget term.
    retain_term: what is kept, by which term.
    retain_weight: its coefficient.
    """
    forget = Term("forget", partial(satimp_term, beta1=beta1, beta2=beta2), ("forget",))
    return Descent(
        "satimp", (*weighted(forget, forget_weight), *weighted(retain_term, retain_weight))
    )
