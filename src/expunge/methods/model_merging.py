"""Model merging: two unlearned copies, one forgets more, one keeps more, merged by TIES."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from annotated_types import Gt, Interval

from expunge.core.card import Card
from expunge.core.stages import Adapter, Descent, Edit, Stage, Term
from expunge.losses.objectives import mean_npo_term
from expunge.losses.terms import kl, nll, weighted
from expunge.losses.weight_deltas import Changes, difference, ties
from expunge.training.edit import EditContext

card = Card(
    paper="Xu et al. 2025",
    url="https://arxiv.org/abs/2503.21088",
    where="SemEval-2025 task 4: model merging",
    family=("preference", "merging"),
    settings={
        # authors' unlearn-merging.py: LoRA rank and alpha 32, warm-up of one epoch, 1 x 4 rows
        # and 2 x 4 in the second run (one batch size here), TIES density 0.8
        "semeval25": {
            "lr": 1e-4,
            "epochs": 5,
            "batch": 4,
            "warmup": 0.2,
            "weight_decay": 0.01,
            "lora_dropout": 0.05,
        },
        "builtin": {"lr": 5e-3, "steps": 60, "batch": 16, "beta": 0.5},
    },
    tune={"lr": (3e-3, 5e-3, 7e-3), "density": (0.5, 0.8), "beta": (0.1, 0.5, 1.0)},
    differs="the weight changes are merged, not the adapters' factors; both copies are trained "
    "with one batch size; "
    "NPO reads each answer's mean per token (the code's that of the whole micro-batch)",
    evidence="oracle",
    claims="lowers_logp",
    published_as={"zjuklab": {}},
)


def merged(context: EditContext, *, density: float) -> Changes:
    """The changes of both copies, merged by TIES with equal weights."""
    copies = [context.auxiliaries[name] for name in ("first", "second")]
    return ties([difference(copy, context.weights) for copy in copies], [1.0, 1.0], density)


def copy_of(name: str, beta: float, weights: tuple[float, float, float], rank: int) -> Descent:
    """NPO(forget) of the mean per token, NLL(retain), KL(retain) with these weights, in an adapter
    of its own.
    """
    forget = Term(
        "forget",
        partial(mean_npo_term, beta=beta),
        ("forget",),
        "seqmean",
        frozenset({"start_logp"}),
    )
    terms = (
        *weighted(forget, weights[0]),
        *weighted(nll(stream="retain"), weights[1]),
        *weighted(kl(stream="retain"), weights[2]),
    )
    return Descent(name, terms, into=name, adapter=Adapter(rank, float(rank)))


def model_merging(
    beta: Annotated[float, Gt(0)] = 0.1,
    rank: Annotated[int, Gt(0)] = 32,
    density: Annotated[float, Interval(ge=0, le=1)] = 0.8,
) -> tuple[Stage, ...]:
    """Two runs of NPO (mean per token) with NLL and KL on the retain rows, (0.4, 0.2, 0.4) and
    (0.3, 0.4, 0.3), and their TIES merge.

    beta: inverse temperature of NPO.
    rank: rank and alpha of both adapters.
    density: share of each change's largest entries that goes into the merge.
    """
    copies = (
        copy_of("first", beta, (0.4, 0.2, 0.4), rank),
        copy_of("second", beta, (0.3, 0.4, 0.3), rank),
    )
    return (
        *copies,
        Edit("merge", partial(merged, density=density), frozenset({"first", "second"})),
    )
