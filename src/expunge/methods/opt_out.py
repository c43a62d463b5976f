"""Opt-Out: forget by preference, with the weights held near their start by optimal transport."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal

from annotated_types import Ge, Gt

from expunge.core.card import Card
from expunge.core.stages import Descent, Term
from expunge.losses.objectives import npo_term
from expunge.losses.terms import nll, weighted
from expunge.losses.weight_distances import distance

card = Card(
    paper="Choi et al. 2024",
    url="https://arxiv.org/abs/2406.12329",
    where="unlearning with optimal transport",
    family=("preference", "regularization"),
    settings={
        # authors' scripts/train.sh, run.py, model.py (one process, layers spread over 4 GPUs):
        # linear, Llama-3.1-8B-Instruct
        "elude": {
            "lr": 1e-5,
            "epochs": 3,
            "batch": 8,
            "schedule": "linear",
            "weight_decay": 0.01,
            "world_weight": 1.0,
        },
        "builtin": {"lr": 1e-3, "steps": 60, "batch": 16, "retain_weight": 10.0},
    },
    tune={"lr": (3e-4, 1e-3, 2e-3), "retain_weight": (1.0, 3.0, 10.0), "beta": (0.1, 0.5)},
    differs="the NPO is the published formula on each answer (the code puts a batch mean inside); "
    "one joint step instead of two in turn; "
    "directions are drawn from (seed, step); with --lora the distance is that of the adapter's "
    "factors, not of the matrices",
    evidence="oracle",
    claims="lowers_logp",
)


def opt_out(
    beta: Annotated[float, Gt(0)] = 0.1,
    regularization: Annotated[float, Ge(0)] = 0.1,
    kind: Literal["sliced_wasserstein", "l2sp", "l1"] = "sliced_wasserstein",
    projections: Annotated[int, Gt(0)] = 100,
    retain_term: Term = nll(stream="retain"),
    retain_weight: Annotated[float, Ge(0)] = 1.0,
    world_weight: Annotated[float, Ge(0)] = 0.0,
) -> Descent:
    """NPO on the forget rows, retain term, NLL of general text, and a distance of the weights to
    their start.

    beta: inverse temperature.
    regularization: coefficient of the distance.
    kind: sliced_wasserstein lets rows of a matrix change places freely; l2sp and l1 are plain
        distances.
    projections: random directions of the sliced distance at each step.
    retain_term: what is kept, by which term.
    retain_weight: its coefficient.
    world_weight: coefficient of general text (the paper's 1, needs --world).
    """
    forget = Term(
        "forget", partial(npo_term, beta=beta), ("forget",), "seqsum", frozenset({"start_logp"})
    )
    kept = (*weighted(retain_term, retain_weight), *weighted(nll(stream="world"), world_weight))
    return Descent(
        "opt_out", (forget, *kept, *weighted(distance(kind, projections), regularization))
    )
