"""Membership by the gradient: memorized rows have small gradient norms."""

from __future__ import annotations

from typing import Literal

from expunge.core.card import Card
from expunge.core.results import Measurement, Record, Records
from expunge.scoring.aggregate import membership_auc

card = Card(
    paper="Wang et al. 2024; Duan et al. 2024 (MIMIR)",
    url="https://arxiv.org/abs/2402.17012",
    where="gradient norm attack",
    family=("membership",),
    evidence="reference",
    better="gold",
    unit="auc",
    grows="knowledge",
    needs=("teacher_forced", "gradient_norm"),
    reads=("forget", "holdout"),
    whole=True,
    differs="The norm of the whole gradient, dropout off. open-unlearning takes the mean of the "
    "tensors' 2-norms, with dropout on and "
    ".grad wiped: norm=tensors gives its form. Its logs (mia_gradnorm) are read as they are.",
)

AT = {"1": 0, "2": 1, "inf": 2, "tensors": 3}


def mia_grad_norm(
    records: Records,
    gold: Records | None = None,
    *,
    norm: Literal["1", "2", "inf", "tensors"] = "2",
    eos: bool = False,
) -> Measurement:
    """AUC of minus the norm of the gradient of the row's mean loss: P(forget > holdout), 0..1.

    ``norm``: 1, 2 or inf over all weights at once, or the mean of the tensors' 2-norms. ``eos``:
    whether the end-of-sequence token is in the loss; it decides how the pass is made. One forward
    and backward a row. ``gold`` is not used.
    """

    def score(r: Record) -> float:
        return -float(r.observed["grad_norm"][AT[norm]])

    return membership_auc(records, "mia_gradnorm", score, ("grad_norm",))
