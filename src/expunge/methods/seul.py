"""Selective unlearning: gradient ascent on the sensitive parts of the answer only."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal

from annotated_types import Ge
from torch import Tensor

from expunge.core.card import Card
from expunge.core.stages import Descent, Prepare, Stage, Term
from expunge.losses.inputs import LossInputs, total
from expunge.losses.terms import nll, weighted
from expunge.synthesis.sensitive import sensitive

card = Card(
    paper="Wang et al. 2024",
    url="https://arxiv.org/abs/2402.05813",
    where="the selective loss over sensitive spans",
    family=("gradient ascent",),
    # ours: the best of a few tries there
    settings={"builtin": {"lr": 2e-3, "steps": 60, "batch": 16, "retain_weight": 10.0}},
    tune={"lr": (5e-4, 1e-3, 2e-3), "retain_weight": (3.0, 10.0, 30.0)},
    differs="the mean is over the marked tokens of a row (the paper's divisor was not seen); spans "
    "are marked once, beforehand, by names "
    "and numbers or by a chat model, not chosen anew from the model's probabilities; the retain "
    "term is ours (the paper has none)",
    evidence="reconstructed",
    claims="lowers_logp",
)


def seul_term(p: LossInputs) -> Tensor:
    """Mean log-probability of the marked tokens of each row: [B, T], weights [B, T] -> [B], nats.

    A row without any gives 0.
    """
    assert p.logp is not None and p.weight is not None
    return total(p.weight * p.logp, p.mask) / total(p.weight, p.mask).clamp(min=1)


def seul(
    spans: Literal["names", "chat"] = "names",
    retain_term: Term = nll(stream="retain"),
    retain_weight: Annotated[float, Ge(0)] = 1.0,
) -> tuple[Stage, ...]:
    """Ascent on the sensitive tokens of the forget answers plus a retain term.

    spans: names marks names and numbers that the question does not hold; chat lets a chat model
        copy them out. Rows with spans keep them.
    retain_term: what is kept, by which term.
    retain_weight: its coefficient.
    """
    chat = spans == "chat"
    mark = Prepare(
        "spans",
        stream="forget",
        fn=partial(sensitive, chat=chat),
        needs=frozenset({"chat"} if chat else ()),
    )
    forget = Term("forget", seul_term, ("forget",), "seqmean", frozenset({"weight"}))
    return (mark, Descent("seul", (forget, *weighted(retain_term, retain_weight))))
