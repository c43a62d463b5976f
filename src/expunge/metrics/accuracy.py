"""Accuracy of a classifier: the share of rows whose class is its first choice."""

from __future__ import annotations

from expunge.core.card import Card
from expunge.core.results import Measurement, Record, Records, unscored
from expunge.scoring.aggregate import role_mean

card = Card(
    paper="Golatkar et al. 2020",
    url="https://arxiv.org/abs/1911.04933",
    where="section 6: error on the forget, retain and test sets",
    evidence="oracle",
    better="gold",
    unit="share",
    grows="knowledge",
    needs=("teacher_forced",),
    differs="Given as accuracy, which is one less the error.",
)


def accuracy(records: Records, role: str) -> Measurement:
    """Mean over the rows of ``role`` of whether the true class has the largest logit; 0..1.

    A row of several tokens is a text, of which exact_memorization speaks. On forget and holdout
    the value to reach is gold's.
    """
    rows = records.of(role)
    texts = sum(r.n_tokens > 1 for r in rows if r.variant == "answer")
    if texts:
        return unscored(
            f"{texts} of {len(rows)} rows of role {role} are texts and no classes; ask for "
            f"exact_memorization",
            "gold",
        )
    return role_mean(records, role, "accuracy", _right, ("hit",))


def _right(r: Record) -> float:
    assert r.hit is not None
    return float(r.hit[0])
