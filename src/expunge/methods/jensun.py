"""JensUn: a bounded divergence between the forgotten answers and a fixed refusal pattern."""

from __future__ import annotations

from functools import partial
from math import log
from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor

from expunge.core.card import Card
from expunge.core.stages import Descent, Prepare, Stage, Term
from expunge.losses.inputs import LossInputs, total
from expunge.losses.terms import jsd, weighted
from expunge.synthesis.pattern import pattern_labels

card = Card(
    paper="Singh et al. 2025",
    url="https://arxiv.org/abs/2509.02820",
    where="the two Jensen-Shannon losses",
    family=("refusal", "distillation"),
    settings={
        # authors' scripts/lkf_unlearn.sh (4 x 4 rows on 2 GPUs) and unlearn/lkf/paraphrases.yaml:
        # warm-up of one epoch
        "lkf": {
            "lr": 8e-6,
            "epochs": 10,
            "batch": 32,
            "warmup": 0.1,
            "weight_decay": 0.01,
        },
        "builtin": {
            "lr": 2e-3,
            "steps": 60,
            "batch": 16,
            "forget_weight": 10.0,
            "retain_term": "nll",
        },
    },
    tune={"lr": (1e-3, 2e-3, 5e-3), "forget_weight": (1.0, 3.0)},
    differs="the pattern is text (the code holds token ids of some tokenizers); rows are exact "
    "distributions (the code clamps at 1e-9)",
    evidence="oracle",
    claims="learns_relabeled",
)


def jensun_term(p: LossInputs) -> Tensor:
    """Sum over tokens of JSD(model, the label alone): [B, T] -> [B], nats, each between 0 and ln 2.

    With p the label's probability: [(1-p) ln 2 + p ln(2p / (1+p)) - ln((1+p)/2)] / 2.
    """
    assert p.logp is not None
    prob = p.logp.exp()
    half = torch.log1p(prob) - log(2)  # ln((1 + p) / 2)
    return total(((1 - prob) * log(2) + prob * (p.logp - half) - half) / 2, p.mask)


def jensun(
    pattern: str = " no idea",
    forget_weight: Annotated[float, Ge(0)] = 1.0,
    retain_term: Term = jsd(stream="retain"),
    retain_weight: Annotated[float, Ge(0)] = 1.0,
) -> tuple[Stage, ...]:
    """Mean JSD to the pattern's words over the forget answers plus a retain term (JSD to the start
    model).

    pattern: what stands, word by word and over again, in place of each answer.
    forget_weight: coefficient of the forget term.
    retain_term: what is kept, by which term.
    retain_weight: its coefficient.
    """
    prepare = Prepare(
        "pattern", stream="relabelled", fn=partial(pattern_labels, pattern=pattern), on="rows"
    )
    forget = Term("forget", jensun_term, ("relabelled",))
    return (
        prepare,
        Descent(
            "jensun", (*weighted(forget, forget_weight), *weighted(retain_term, retain_weight))
        ),
    )
