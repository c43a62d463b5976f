"""Refuse what is forgotten, and prefer the true answer to a refusal wherever it is kept."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from annotated_types import Ge, Gt
from torch import Tensor
from torch.nn.functional import softplus

from expunge.core.card import Card
from expunge.core.stages import Descent, Prepare, Stage, Term
from expunge.losses.inputs import LossInputs, total
from expunge.losses.terms import nll, weighted
from expunge.synthesis.refusals import refused_retain

card = Card(
    paper="Yuan et al. 2024",
    url="https://arxiv.org/abs/2410.08109",
    where="IDK with answer preservation",
    family=("refusal", "preference"),
    settings={
        # authors' scripts/tofu/idk_ap.sh (2 GPUs), config/tofu.yaml (4 x 4 rows), forget.py:
        # warm-up of one epoch
        "tofu": {
            "lr": 1e-5,
            "epochs": 5,
            "batch": 32,
            "warmup": 0.2,
            "weight_decay": 0.01,
        },
        "builtin": {"lr": 1e-3, "steps": 60, "batch": 16},
    },
    tune={"lr": (5e-4, 1e-3, 2e-3), "beta": (0.1, 0.5), "retain_weight": (1.0, 3.0)},
    differs="a retain question's refusal is fixed by the seed and its id",
    evidence="oracle",
    claims="raises_refusal",
)


def preservation_term(refused: LossInputs, true: LossInputs, *, beta: float) -> Tensor:
    """(1/beta) log(1 + exp(-beta (NLL(refusal) - NLL(answer)))) of whole answers to one question,
    no start model: [B], nats.
    """
    assert refused.logp is not None and true.logp is not None
    return (
        softplus(-beta * (total(true.logp, true.mask) - total(refused.logp, refused.mask))) / beta
    )


def idk_ap(
    beta: Annotated[float, Gt(0)] = 0.1, retain_weight: Annotated[float, Ge(0)] = 1.0
) -> tuple[Stage, ...]:
    """NLL of refusals to the forget questions plus the preference for true answers on retain
    questions.

    beta: inverse temperature of the preference.
    retain_weight: coefficient of the preference.
    """
    keep = Term(
        "preserve", partial(preservation_term, beta=beta), ("retain_refused", "retain"), "seqsum"
    )
    refuse = Prepare("refuse_retain", stream="retain_refused", fn=refused_retain, reads=("retain",))
    return (refuse, Descent("idk_ap", (nll(stream="alternate"), *weighted(keep, retain_weight))))
