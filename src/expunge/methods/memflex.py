"""MemFlex: update only weights whose forget gradient is large and differs from the retain one."""

from __future__ import annotations

import random
from dataclasses import replace
from functools import partial
from typing import Annotated

from annotated_types import Ge, Gt
from torch import Tensor

from expunge.core.card import Card
from expunge.core.data import Row
from expunge.core.stages import Descent, Term
from expunge.losses.gradients import Grads, added, inner, norm
from expunge.losses.terms import ascent, nll, weighted
from expunge.training.edit import EditContext

card = Card(
    paper="Tian et al. 2024",
    url="https://arxiv.org/abs/2407.01920",
    where="knowledge localization, then unlearning",
    family=("gradient ascent", "localization"),
    settings={
        # authors' code, Llama-2-7b-chat and Qwen1.5-7B-Chat: lr 3e-4, 2 epochs, cosine, warm-up
        # 0.03, batch 16, no weight decay; it goes on with the adapter that learned the rows, rank
        # 8, alpha 16, dropout 0.1 on every linear layer
        "knowundo": {
            "lr": 3e-4,
            "epochs": 2,
            "batch": 16,
            "schedule": "cosine",
            "warmup": 0.03,
            "weight_decay": 0.0,
            "lora": 8,
            "lora_alpha": 16.0,
            "lora_dropout": 0.1,
        },
        "builtin": {
            "lr": 1e-3,
            "steps": 60,
            "batch": 16,
            "least_gradient": 0.0,
            "forget_weight": 0.8,
        },
    },
    tune={"lr": (5e-4, 1e-3, 2e-3), "cosine": (0.5, 0.92), "forget_weight": (0.2, 0.4, 0.8)},
    differs="the region is found once; weights outside it are held through the step (the code "
    "zeroes gradients: AdamW still moves them); "
    "random labels are drawn from the whole vocabulary; of an adapter that begins at zero only one "
    "matrix of each pair has a gradient",
    evidence="oracle",
    claims="lowers_logp",
)


def randomized(row: Row, vocab: int, key: str) -> Row:
    """The row with uniformly random labels where it is scored, drawn from ``key`` and its id; the
    model reads it as it is.
    """
    draw = random.Random(f"{key}/{row.role}/{row.id}")
    return replace(
        row,
        labels=tuple(
            draw.randrange(vocab) if s else t for t, s in zip(row.ids, row.scored, strict=True)
        ),
    )


def region(forget: Grads, retain: Grads, *, cosine: float, least: float) -> dict[str, bool]:
    """Tensors with cos(g_forget, g_retain) < ``cosine`` and mean |g_forget| > ``least``."""

    def moves(f: Tensor, r: Tensor) -> bool:
        lengths = float(norm({"": f}) * norm({"": r}))
        alike = float(inner({"": f}, {"": r})) / lengths if lengths else 0.0
        return alike < cosine and float(f.abs().mean()) > least

    return {n: moves(forget[n], retain[n]) for n in forget}


def pulled(context: EditContext, *, cosine: float, least: float, copies: int) -> dict[str, bool]:
    """The region by gradients of random labels on forget and retain rows, averaged over ``copies``
    draws.
    """
    vocab = context.model.vocab
    mean: dict[str, Grads] = {}
    for i in range(copies):
        key = f"{context.seed}/memflex/{i}"
        drawn = replace(
            context,
            units=[
                {s: randomized(u[s], vocab, key) for s in ("forget", "retain")}
                for u in context.units or ()
            ],
        )
        for stream in ("forget", "retain"):
            g = drawn.gradient(1 / copies * nll(stream=stream))
            mean[stream] = added(mean[stream], g) if stream in mean else g
    return region(mean["forget"], mean["retain"], cosine=cosine, least=least)


def memflex(
    cosine: Annotated[float, Ge(-1)] = 0.92,
    least_gradient: Annotated[float, Ge(0)] = 6e-4,
    copies: Annotated[int, Gt(0)] = 3,
    forget_weight: Annotated[float, Ge(0)] = 0.4,
    retain_term: Term = nll(stream="retain", reduction="seqmean"),
    retain_weight: Annotated[float, Gt(0)] = 2.0,
) -> Descent:
    """-forget_weight NLL(forget) + retain term, means per answer, on the tensors that only the
    forget rows need.

    cosine: largest cosine between a tensor's forget and retain gradients; above 1 lets every
        direction move.
    least_gradient: smallest mean size of a tensor's forget gradient.
    copies: draws of random labels that the gradients are averaged over.
    forget_weight: coefficient of the ascent.
    retain_term: what is kept, by which term.
    retain_weight: its coefficient.
    """
    find = partial(pulled, cosine=cosine, least=least_gradient, copies=copies)
    terms = (
        *weighted(ascent(stream="forget", reduction="seqmean"), forget_weight),
        retain_weight * retain_term,
    )
    return Descent("memflex", terms, locate=find)
