"""UNDIAL: learn from the model's own distribution with the forgotten token's logit turned down."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from annotated_types import Ge

from expunge.core.card import Card
from expunge.core.stages import Descent, Teacher, Term
from expunge.losses.teachers import turned_down
from expunge.losses.terms import cross_entropy, nll, weighted

card = Card(
    paper="Dong et al. 2025",
    url="https://arxiv.org/abs/2402.10052",
    where="section 3, self-distillation with adjusted logits",
    family=("distillation",),
    settings={
        # open-unlearning community/methods/UNDIAL/run.sh, UNDIAL.yaml, unlearn/tofu/default.yaml:
        # warm-up of one epoch; the paper's own runs are LoRA (rank 8, alpha 16) at the same rate
        "tofu": {
            "lr": 1e-4,
            "epochs": 10,
            "batch": 32,
            "warmup": 0.1,
            "weight_decay": 0.01,
        },
        "builtin": {"lr": 2e-3, "steps": 60, "batch": 16, "retain_weight": 3.0},
    },
    tune={"lr": (5e-4, 1e-3, 2e-3), "beta": (10.0, 20.0), "retain_weight": (1.0, 3.0, 10.0)},
    differs="only answer tokens are scored; the reference codes average over prompt and padding, "
    "and open-unlearning penalizes column -100",
    evidence="reference",
    claims="lowers_logp",
)


def undial(
    beta: Annotated[float, Ge(0)] = 10.0,
    retain_term: Term = nll(stream="retain"),
    retain_weight: Annotated[float, Ge(0)] = 0.0,
) -> Descent:
    """Cross-entropy to softmax(z_start - beta e_y) on the forget answers.

    beta: how far the label's logit is turned down.
    retain_term: what is kept, by which term.
    retain_weight: its coefficient (the paper has none).
    """
    forget = cross_entropy(stream="forget", provider=Teacher(edit=partial(turned_down, beta=beta)))
    return Descent("undial", (forget, *weighted(retain_term, retain_weight)))
