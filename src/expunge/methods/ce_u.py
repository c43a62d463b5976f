"""CE-U: train on the model's own distribution with the forgotten token's probability set to 0."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import accumulate
from typing import Annotated

from annotated_types import Ge

from expunge.core.card import Card
from expunge.core.data import Row
from expunge.core.stages import Descent, Prepare, Stage, Teacher, Term
from expunge.losses.teachers import without_label
from expunge.losses.terms import cross_entropy, nll, weighted
from expunge.synthesis.tools import Tools

card = Card(
    paper="Yang 2025",
    url="https://arxiv.org/abs/2503.01224",
    where="cross-entropy unlearning",
    family=("distillation",),
    settings={
        # open-unlearning community/methods/CEU/run.sh, unlearn/tofu/default.yaml: warm-up of one
        # epoch
        "tofu": {
            "lr": 1e-5,
            "epochs": 10,
            "batch": 32,
            "warmup": 0.1,
            "weight_decay": 0.01,
        },
        "builtin": {"lr": 2e-3, "steps": 60, "batch": 16, "retain_weight": 10.0},
    },
    tune={"lr": (5e-4, 1e-3), "retain_weight": (1.0, 3.0, 10.0)},
    differs="of an answer of one token that token is learned (the code skips it, and such a row "
    "has no loss)",
    evidence="reference",
    claims="lowers_logp",
)


def spared(rows: Mapping[str, Sequence[Row]], tools: Tools, *, n: int) -> list[Row]:
    """The forget rows with the first n tokens of each answer not scored; the last token of an
    answer always is.
    """
    return [_spared(row, min(n, sum(row.scored) - 1)) for row in rows["forget"]]


def _spared(row: Row, n: int) -> Row:
    counts = accumulate(row.scored)
    return replace(row, scored=tuple(s and k > n for s, k in zip(row.scored, counts, strict=True)))


def ce_u(
    skip: Annotated[int, Ge(0)] = 1,
    retain_term: Term = nll(stream="retain"),
    retain_weight: Annotated[float, Ge(0)] = 0.0,
) -> tuple[Stage, ...]:
    """Mean cross-entropy to the model's own row without the label, over the forget answers; no
    start model.

    skip: how many first tokens of each answer are left alone.
    retain_term: what is kept, by which term.
    retain_weight: its coefficient (the paper has none).
    """
    spare = Prepare("skip", stream="forget", fn=partial(spared, n=skip), on="rows")
    forget = cross_entropy(stream="forget", provider=Teacher(("current",), edit=without_label))
    return (
        *((spare,) if skip else ()),
        Descent("ce_u", (forget, *weighted(retain_term, retain_weight))),
    )
