"""SOUL: forget by a usual loss, in clipped second-order steps (Sophia) instead of AdamW's."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal

from annotated_types import Ge, Gt

from expunge.core.card import Card
from expunge.core.stages import Descent, Term
from expunge.losses.objectives import npo_term
from expunge.losses.terms import ascent, nll, weighted

card = Card(
    paper="Jia et al. 2024",
    url="https://arxiv.org/abs/2404.18239",
    where="second-order unlearning; section 4",
    family=("optimizer",),
    settings={
        # authors' configs/TOFU/SO_GradDiff.json, src/model/unlearn.py, Llama-2-7b: 1 x 4 rows, a
        # tenth of the steps is warm-up; refusals have lr 1e-5 and retain weight 5
        "tofu": {
            "lr": 5e-6,
            "epochs": 5,
            "batch": 4,
            "warmup": 0.1,
            "weight_decay": 0.1,
            "retain_weight": 2.0,
        },
        "builtin": {
            "lr": 3e-4,
            "steps": 60,
            "batch": 16,
            "objective": "npo",
            "retain_weight": 10.0,
        },
    },
    tune={
        "lr": (2e-4, 5e-4, 1e-3),
        "objective": ("grad_diff", "npo"),
        "retain_weight": (1.0, 2.0, 5.0),
    },
    differs="the momentum moves once a step (twice in the code); the square of the unlearning "
    "gradient stands for the Hessian, as in the code",
    evidence="oracle",
    claims="lowers_logp",
)


SOPHIA = {"optimizer": "sophia", "betas": (0.9, 0.95)}  # of the authors' optimizer


def soul(
    objective: Literal["grad_diff", "npo", "idk"] = "grad_diff",
    beta: Annotated[float, Gt(0)] = 0.1,
    rho: Annotated[float, Gt(0)] = 0.04,
    retain_term: Term = nll(stream="retain"),
    retain_weight: Annotated[float, Ge(0)] = 2.0,
) -> Descent:
    """The objective plus a retain term, minimized by Sophia.

    objective: grad_diff is ascent on the forget answers, npo its bounded kin, idk learns refusals.
    beta: inverse temperature of npo.
    rho: Sophia's threshold; a smaller one lets more entries move by the whole learning rate. The
        authors' script has 0.04.
    retain_term: what is kept, by which term.
    retain_weight: its coefficient.
    """
    forget = {
        "grad_diff": ascent(stream="forget"),
        "npo": Term(
            "forget", partial(npo_term, beta=beta), ("forget",), "seqsum", frozenset({"start_logp"})
        ),
        "idk": nll(stream="alternate"),
    }[objective]
    return Descent(
        "soul", (forget, *weighted(retain_term, retain_weight)), training={**SOPHIA, "rho": rho}
    )
