"""Likeness to the original: overlap of the answers with those given before unlearning."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from expunge.core.card import Card
from expunge.core.results import Measurement, Records
from expunge.evaluation.likeness import BLEU, ROUGE
from expunge.scoring.aggregate import given_mean

card = Card(
    paper="Hong et al. 2024 (ConceptVectors)",
    url="https://arxiv.org/abs/2406.11614",
    where="behavioral evaluation: BLEU and ROUGE-L of the answers before and after unlearning",
    family=("locality",),
    evidence="oracle",
    better="gold",
    unit="share",
    grows="knowledge",
    needs=("generation",),
    differs="Its code compares whole sequences, the question among them, by the package rouge and "
    "nltk's BLEU; here only what was "
    "written counts, by rouge-score and our BLEU.",
)


def likeness_to_original(records: Records, role: str) -> Measurement:
    """Mean over rows of the ROUGE-L F1 of the greedy output against the original model's; 0..1, 1 =
    word for word.

    Part ``bleu``: the mean of sentence BLEU. It needs no right answers, but the model before
    unlearning: give --original. The original is not always right: low means other, not wrong.
    """
    reason = (
        "needs the model before unlearning, whose answers these are compared with; give --original"
    )
    m = given_mean(records, role, ROUGE, reason)
    if m.value is None:
        return m
    return replace(m, parts={"bleu": float(np.mean([r.given[BLEU] for r in records.of(role)]))})
