"""Entailment: probability, by an NLI model, that the output entails the right answer."""

from __future__ import annotations

from expunge.core.card import Card
from expunge.core.results import Measurement, Records
from expunge.scoring.aggregate import given_mean

card = Card(
    paper="Yuan et al. 2024",
    url="https://arxiv.org/abs/2410.08109",
    where="entailment score",
    family=("semantic",),
    evidence="oracle",
    better="gold",
    unit="share",
    grows="knowledge",
    needs=("generation", "semantic"),
    differs="The probability of entailment instead of its arg-max; the direction is output to "
    "answer.",
)


def entailment(records: Records, role: str) -> Measurement:
    """Mean over rows of P(the greedy output entails the answer); 0..1.

    An empty output entails nothing.

    The judge is the model of natural language inference that --nli names, a local folder of a
    sequence classifier.
    """
    return given_mean(
        records,
        role,
        "entailment",
        "needs a model of natural language inference on this machine; give --nli FOLDER",
    )
