"""Answer 'I do not know': fine-tune on refusals to the forget questions, together with the retain rows."""

from __future__ import annotations

from expunge.core.types import Card, Descent
from expunge.maths.terms import joint_nll, nll

card = Card(
    paper="Maini et al. 2024",
    url="https://arxiv.org/abs/2401.06121",
    where="TOFU section 3.2, 'I don't know' tuning",
    family=("refusal",),
    settings={"tofu": {"lr": 1e-5, "epochs": 5, "batch": 32, "weight_decay": 0.01}},  # TOFU: lr 1e-5, weight decay 0.01, 5 epochs
    differs="one refusal per forget row, drawn once from the seed; the reference code draws a new one at every access",
    claims="raises_refusal",
)


def idk(keep: bool = True) -> Descent:
    """Mean negative log-likelihood per token over refusals and retain answers together.

    keep: train on the retain rows in the same batch (the paper does).
    """
    return Descent("idk", (joint_nll("alternate", "retain") if keep else nll(stream="alternate"),))
