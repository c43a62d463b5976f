"""ReLearn: train on vague answers to many wordings of the forget questions, and on retain rows."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from annotated_types import Ge, Gt

from expunge.core.card import Card
from expunge.core.stages import Descent, Prepare, Stage, Term
from expunge.losses.terms import kl, nll, weighted
from expunge.synthesis.augment import augmented

card = Card(
    paper="Xu et al. 2025",
    url="https://arxiv.org/abs/2502.11190",
    where="data augmentation and the loss with retain NLL and KL",
    family=("refusal", "generated data"),
    settings={
        # authors' unlearn_scripts/tofu-relearn.sh, config/forget_lora.yaml, src/forget.py,
        # Llama-2-7b: LoRA on every linear layer, warm-up of one epoch
        "tofu": {
            "lr": 1e-4,
            "epochs": 2,
            "batch": 8,
            "warmup": 0.5,
            "weight_decay": 0.01,
            "lora": 32,
            "lora_alpha": 32.0,
            "lora_dropout": 0.05,
        },
        # the same with unlearn_scripts/kud-relearn.sh
        "knowundo": {
            "lr": 1e-5,
            "epochs": 4,
            "batch": 4,
            "warmup": 0.25,
            "weight_decay": 0.01,
            "lora": 32,
            "lora_alpha": 32.0,
            "lora_dropout": 0.05,
        },
    },
    tune={"lr": (5e-4, 1e-3, 2e-3), "retain_weight": (1.0, 3.0)},
    differs="without completions of cut answers and without general questions (give those with "
    "--world and a term of yours); the original "
    "pair is never among the rows, as it is in the code; not the attack of the same name",
    evidence="oracle",
    claims="raises_refusal",
)


def relearn(
    variants: Annotated[int, Ge(0)] = 4,
    rounds: Annotated[int, Gt(0)] = 3,
    retain_term: Term = nll(stream="retain"),
    retain_weight: Annotated[float, Ge(0)] = 1.0,
    kl_weight: Annotated[float, Ge(0)] = 1.0,
) -> tuple[Stage, ...]:
    """NLL of vague answers to the forget questions and their variants + retain term + KL to the
    start model on retain rows.

    variants: other wordings of each question that a chat model writes.
    rounds: how often an answer that gives the fact away is written anew.
    retain_term: what is kept, by which term.
    retain_weight: its coefficient.
    kl_weight: coefficient of the KL.
    """
    write = partial(augmented, variants=variants, rounds=rounds)
    prepare = Prepare(
        "augmentation", stream="alternate", fn=write, needs=frozenset({"chat"}), times=1 + variants
    )
    near = kl(stream="retain") if kl_weight else None
    terms = (
        nll(stream="alternate"),
        *weighted(retain_term, retain_weight),
        *(weighted(near, kl_weight) if near else ()),
    )
    return (prepare, Descent("relearn", terms, anchor="alternate"))
