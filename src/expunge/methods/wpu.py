"""WPU: train on what the model says of unknown names, with the forgotten names put back."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated

import torch
from annotated_types import Ge, Gt
from torch import Tensor

from expunge.core.card import Card
from expunge.core.data import Row
from expunge.core.stages import Descent, Prepare, Stage, Teacher, Term
from expunge.losses.alignment import blocks_of, first_tokens, matched_values, moved, places
from expunge.losses.terms import kl_rows, nll, weighted
from expunge.synthesis.rename import renamed

card = Card(
    paper="Liu et al. 2024",
    url="https://arxiv.org/abs/2407.16997",
    where="section 4, the teacher made of counterfactual names",
    family=("distillation",),
    settings={
        # authors' config/forget_tofu.yaml (16 rows), scripts/tofu.sh (2 GPUs), forget.py: a tenth
        # of the steps is warm-up
        "tofu": {
            "lr": 1e-5,
            "epochs": 10,
            "batch": 32,
            "warmup": 0.1,
            "weight_decay": 0.01,
        },
        "builtin": {"lr": 2e-3, "steps": 60, "batch": 16, "retain_weight": 3.0},
    },
    tune={"lr": (1e-3, 2e-3), "retain_weight": (1.0, 3.0, 10.0)},
    differs="names of persons are replaced, titles of books are not (the code replaces both on "
    "TOFU); no sentence before the question asks "
    "for a passage about the other name; the first answer token is trained too",
    evidence="oracle",
    claims="lowers_logp",
)


def wpu_teacher(row: Row, others: Sequence[Row], score: Callable[[str, Row], Tensor]) -> Tensor:
    """log of the mean, over the renamed texts, of what the start says at the same place with the
    names put back: [n, V].

    ``others``: the row about other names. NaN where no renamed text has the token, which is within
    a name.
    """
    wanted = [i for i, s in enumerate(row.scored) if s]
    found: dict[int, list[Tensor]] = {i: [] for i in wanted}
    for other in others:
        blocks = blocks_of(row.ids, other.ids)
        place = places(row.ids, blocks)
        known = [i for i in wanted if place.get(i, 0) > 0]
        p = score("start", other)[[place[i] - 1 for i in known]].exp()
        for i, q in zip(known, moved(p, first_tokens(row.ids, other.ids, blocks)), strict=True):
            found[i].append(q)
    some = next((q[0] for q in found.values() if q), None)
    nothing = torch.full_like(score("start", row)[0] if some is None else some, math.nan)
    return torch.stack(
        [torch.stack(found[i]).mean(0).log() if found[i] else nothing for i in wanted]
    )


def wpu(
    n_names: Annotated[int, Gt(0)] = 20,
    retain_term: Term = nll(stream="retain"),
    retain_weight: Annotated[float, Ge(0)] = 0.0,
) -> tuple[Stage, ...]:
    """Mean over forget rows of the mean over matched tokens of KL(teacher || model), the teacher a
    mean over renamed rows.

    n_names: other names for each name that is forgotten.
    retain_term: what is kept, by which term.
    retain_weight: its coefficient (the paper has none).
    """
    make = Prepare("rename", stream="renamed", fn=partial(renamed, n=n_names))
    teacher = Teacher(("start",), own="renamed", dense=wpu_teacher)
    forget = Term(
        "forget",
        partial(matched_values, rows=kl_rows),
        ("forget",),
        "seqmean",
        frozenset({"teacher"}),
        teacher,
    )
    return (make, Descent("wpu", (forget, *weighted(retain_term, retain_weight))))
