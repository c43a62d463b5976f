"""Semantic similarity: cosine of the sentence vectors of generated text and right answer."""

from __future__ import annotations

from expunge.core.card import Card
from expunge.core.results import Measurement, Records
from expunge.scoring.aggregate import given_mean

card = Card(
    paper="Reimers and Gurevych 2019",
    url="https://arxiv.org/abs/1908.10084",
    where="mean pooling and cosine similarity",
    family=("semantic",),
    evidence="oracle",
    better="gold",
    unit="cosine",
    grows="knowledge",
    needs=("generation", "semantic"),
)


def semantic_similarity(records: Records, role: str) -> Measurement:
    """Mean over rows of the cosine between the mean-pooled vectors of answer and greedy output;
    -1..1.

    The vectors come from the encoder that --encoder names, a local folder of a sentence encoder. An
    empty output has 0.
    """
    return given_mean(
        records,
        role,
        "semantic_similarity",
        "needs a sentence encoder on this machine; give --encoder FOLDER",
    )
