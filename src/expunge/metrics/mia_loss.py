"""Membership by loss: are forget rows likelier under the model than rows it never saw?"""

from __future__ import annotations

from expunge.core.card import Card
from expunge.core.results import Measurement, Records
from expunge.scoring.aggregate import membership_auc

card = Card(
    paper="Yeom et al. 2018",
    url="https://arxiv.org/abs/1709.01604",
    where="the bounded loss attack",
    family=("membership",),
    evidence="reference",
    better="gold",
    unit="auc",
    grows="knowledge",
    needs=("teacher_forced",),
    reads=("forget", "holdout"),
    whole=True,
)


def mia_loss(records: Records, gold: Records | None = None) -> Measurement:
    """AUC of the mean log-probability, eos included: P(forget > holdout), 0..1; about .5 for a
    model that saw neither.

    Higher = forget rows look more like members. Below gold's value the rows are conspicuously
    unlikely. ``gold`` is not used.
    """
    return membership_auc(records, "mia_loss", lambda r: -r.loss, ("loss",))
