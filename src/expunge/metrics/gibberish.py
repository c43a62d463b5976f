"""Gibberish: how far the generated texts are clean language, judged by a gibberish classifier."""

from __future__ import annotations

from expunge.core.card import Card
from expunge.core.results import Measurement, Records
from expunge.scoring.aggregate import given_mean

card = Card(
    paper="Dorna et al. 2025 (OpenUnlearning)",
    url="https://arxiv.org/abs/2506.12618",
    where="fluency by a gibberish classifier",
    family=("fluency",),
    evidence="oracle",
    better="gold",
    unit="share",
    needs=("generation", "semantic"),
    differs="The label is found by its name (clean) and not by its place; texts are read to the "
    "classifier's own length (512 tokens at "
    "most), the peer cuts TOFU's at 32. The classifier of the paper was not tried.",
)


def gibberish(records: Records, role: str) -> Measurement:
    """Mean over rows of P(the greedy output is clean, not gibberish); 0..1, an empty output has 0.

    A short refusal is clean, too.

    The judge is the classifier that --gibberish names, a local folder (such as one of
    autonlp-Gibberish-Detector-492513457).
    """
    return given_mean(
        records,
        role,
        "gibberish",
        "needs a classifier of gibberish on this machine; give --gibberish FOLDER",
    )
