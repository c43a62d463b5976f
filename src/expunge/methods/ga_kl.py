"""Gradient ascent on the forget rows with a KL penalty to the start model on the retain rows."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Ge

from expunge.core.card import Card
from expunge.core.stages import Descent
from expunge.losses.terms import ascent, kl, weighted

card = Card(
    paper="Maini et al. 2024",
    url="https://arxiv.org/abs/2401.06121",
    where="TOFU section 3.2, KL minimization",
    family=("ascent", "distillation"),
    settings={
        # TOFU's README.md (4 x 4 rows on 2 GPUs), config/forget.yaml, forget.py: warm-up of one
        # epoch
        "tofu": {
            "lr": 1e-5,
            "epochs": 5,
            "batch": 32,
            "warmup": 0.2,
            "weight_decay": 0.01,
        },
        "builtin": {"lr": 2e-3, "steps": 60, "batch": 16, "retain_weight": 10.0},
    },
    tune={"lr": (5e-4, 1e-3, 2e-3), "retain_weight": (3.0, 10.0, 30.0)},
    differs="padding is never counted; open-unlearning and the TOFU code average the KL over "
    "padding too",
    evidence="reference",
    claims="lowers_logp",
)


def ga_kl(
    retain_weight: Annotated[float, Ge(0)] = 1.0, positions: Literal["all", "answer"] = "all"
) -> Descent:
    """-NLL(forget) + retain_weight KL(start || model) on the retain rows.

    retain_weight: coefficient of the KL.
    positions: all counts the question's tokens too, as the paper's formula does; answer counts the
        answer's only.
    """
    return Descent(
        "ga_kl",
        (ascent(stream="forget"), *weighted(kl(stream="retain", span=positions), retain_weight)),
    )
