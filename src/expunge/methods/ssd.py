"""SSD: shrink the weights whose Fisher information on forget rows exceeds that on all rows."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import torch
from annotated_types import Ge, Gt
from torch import Tensor

from expunge.core.card import Card
from expunge.core.errors import Refused
from expunge.core.stages import Edit
from expunge.losses.terms import nll
from expunge.losses.weight_deltas import Changes, wide
from expunge.training.edit import EditContext

card = Card(
    paper="Foster et al. 2024",
    url="https://arxiv.org/abs/2308.07707",
    where="selection by alpha and dampening by lambda, on the diagonal of the Fisher information",
    family=("pruning", "localization"),
    # of 5 tries on this case: forget .56, retain .90 (before .96 and .96)
    settings={"builtin": {"alpha": 2.0, "dampening": 0.2}},
    differs="squared gradients are of single rows (the code's of batches, whose size then "
    "matters); the loss is that "
    "of answers, not of classes; a selection of nothing is refused, as the paper's alpha of 10 "
    "makes where more than a "
    "tenth of all rows is to go. On the built-in case over half of the forgotten answers' "
    "probability stays",
    evidence="oracle",
    claims="lowers_logp",
)


def factors(forget: Tensor, every: Tensor, *, alpha: float, dampening: float) -> Tensor:
    """What each weight is multiplied by, from its importance to the forget rows and to all rows.

    min(dampening F_all / F_forget, 1) where F_forget > alpha F_all, and 1 elsewhere: 0 to 1, so
    that no weight grows.
    """
    smallest = torch.finfo(forget.dtype).tiny  # what is selected lies above it or is as good as it
    shrunk = (dampening * every / forget.clamp(min=smallest)).clamp(max=1.0)
    return torch.where(forget > alpha * every, shrunk, torch.ones_like(shrunk))


def dampened(context: EditContext, *, alpha: float, dampening: float, rows: int) -> Changes:
    """(factor - 1) W of every tensor in which a weight is selected; all rows are forget and retain
    rows.
    """
    forget = context.squared_gradient(nll("forget"), group=rows)
    retain = context.squared_gradient(nll("retain"), group=rows)
    n, kept = len(context.rows("forget")), len(context.rows("retain"))
    changes: Changes = {}
    for name, important in forget.items():
        every = (n * important + kept * retain.pop(name)) / (n + kept)
        factor = factors(important, every, alpha=alpha, dampening=dampening)
        if bool((factor < 1).any()):
            changes[name] = wide(context.weights[name]) * (factor - 1)
    if not changes:
        raise Refused(
            f"ssd: no weight matters more than {alpha:g} times as much to the forget rows as to "
            f"all rows; lower --alpha "
            f"(with {n} forget rows of {n + kept} none can above {(n + kept) / n:.3g})"
        )
    return changes


def ssd(
    alpha: Annotated[float, Ge(0)] = 10.0,
    dampening: Annotated[float, Ge(0)] = 1.0,
    rows: Annotated[int, Gt(0)] = 1,
) -> Edit:
    """W min(dampening F_all / F_forget, 1) where F_forget > alpha F_all; F the mean squared
    gradient of the answers' NLL.

    No training: the learning rate and the steps of the run are not read.

    alpha: how many times as much a weight must matter to the forget rows as to all rows to be
        selected; the forget rows are among all rows.
    dampening: the paper's lambda, how far a selected weight is shrunk; 0 sets it to zero.
    rows: rows whose mean gradient is squared; 1 is the Fisher information's diagonal.
    """
    find = partial(dampened, alpha=alpha, dampening=dampening, rows=rows)
    return Edit("ssd", find, streams=("forget", "retain"))
