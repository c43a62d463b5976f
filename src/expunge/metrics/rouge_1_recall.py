"""ROUGE-1 recall: share of the right answer's words found in the generated text, in any order."""

from __future__ import annotations

from expunge.core.card import Card
from expunge.core.results import Measurement, Record, Records
from expunge.scoring.aggregate import role_mean
from expunge.scoring.per_row import rouge_1_recall_of

card = Card(
    paper="Lin 2004",
    url="https://aclanthology.org/W04-1013/",
    where="ROUGE-N, equation 1",
    evidence="reference",
    better="gold",
    unit="share",
    grows="knowledge",
    needs=("generation",),
    differs="The tokenizer of rouge-score keeps ASCII letters and digits only; an answer with "
    "letters beyond Latin is cut into words of "
    "any script instead.",
)


def rouge_1_recall(records: Records, role: str, *, stemmer: bool = True) -> Measurement:
    """Mean over rows of the answer's words that the greedy output has (each as often as it has it)
    / words of the answer; 0..1.

    ``stemmer``: as open-unlearning's logs have it (``rouge1_recall``). An empty output gives 0.
    """

    def score(r: Record) -> float:
        assert r.answer is not None and r.generated is not None
        return rouge_1_recall_of(r.answer, r.generated, stemmer)

    return role_mean(records, role, "rouge_1_recall", score, ("answer", "generated"))
