"""Train on replacement tokens: random ones, or the start model's next most likely ones."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Ge

from expunge.core.card import Card
from expunge.core.stages import Descent, Prepare, Stage, Term
from expunge.losses.terms import nll, weighted
from expunge.synthesis.relabel import adversarial_labels, random_labels

card = Card(
    paper="Yao et al. 2024",
    url="https://arxiv.org/abs/2402.15159",
    where="section 3, fine-tuning with random labels and with adversarial samples",
    family=("relabelling",),
    settings={
        # authors' README.md, Yi-6B, arXiv: 8 GPUs x 1 row, 60 times accumulated (GitHub: 85),
        # the same for both kinds of labels
        "yao_corpus": {
            "lr": 2e-5,
            "epochs": 1,
            "batch": 8,
            "accumulate": 60,
            "warmup": 0.03,
            "weight_decay": 0.0,
            "schedule": "cosine",
        },
        "random_labels:yao_corpus": {
            "lr": 2e-5,
            "epochs": 1,
            "batch": 8,
            "accumulate": 60,
            "warmup": 0.03,
            "weight_decay": 0.0,
            "schedule": "cosine",
        },
        "adversarial_labels:yao_corpus": {
            "lr": 2e-5,
            "epochs": 1,
            "batch": 8,
            "accumulate": 60,
            "warmup": 0.03,
            "weight_decay": 0.0,
            "schedule": "cosine",
        },
        # ours: the best of a few tries there
        "builtin": {"lr": 2e-3, "steps": 60, "batch": 16, "retain_weight": 10.0},
        # ours: the best of a few tries there
        "adversarial_labels:builtin": {"lr": 1e-3, "steps": 60, "batch": 16, "retain_weight": 1.0},
        # ours: the best of a few tries there
        "random_labels:builtin": {"lr": 2e-3, "steps": 60, "batch": 16, "retain_weight": 10.0},
    },
    tune={
        "lr": (5e-4, 1e-3, 2e-3),
        "labels": ("random", "adversarial"),
        "retain_weight": (1.0, 3.0, 10.0),
    },
    differs="an adversarial label is decided by the row that predicts it (the code keeps it one "
    "place too late); end tokens keep theirs; "
    "the other five of the seven methods are grad_ascent, grad_diff and ga_kl",
    evidence="oracle",
    claims="learns_relabeled",
    published_as={
        "random_labels": {"labels": "random"},
        "adversarial_labels": {"labels": "adversarial"},
    },
)

MAKERS = {"random": random_labels, "adversarial": adversarial_labels}


def relabel(
    labels: Literal["random", "adversarial"] = "random",
    retain_term: Term = nll(stream="retain"),
    retain_weight: Annotated[float, Ge(0)] = 0.0,
) -> tuple[Stage, ...]:
    """Mean negative log-likelihood of other labels at the places of the forget answers, the inputs
    as they are.

    labels: random draws each label uniformly, once; adversarial takes the start model's likeliest
        token that is not the true one.
    retain_term: what is kept, by which term.
    retain_weight: its coefficient (the paper has none).
    """
    prepare = Prepare(f"{labels} labels", stream="relabelled", fn=MAKERS[labels], on="rows")
    return (
        prepare,
        Descent("relabel", (nll(stream="relabelled"), *weighted(retain_term, retain_weight))),
    )
