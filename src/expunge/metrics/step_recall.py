"""Step recall: share of each reasoning step that recurs in some step of the generated chain."""

from __future__ import annotations

from expunge.core.card import Card
from expunge.core.results import Measurement, Record, Records
from expunge.scoring.aggregate import role_mean
from expunge.scoring.per_row import before, rouge_l_recall_of
from expunge.scoring.text import sentences

card = Card(
    paper="Yoon et al. 2025 (R-TOFU)",
    url="https://arxiv.org/abs/2505.15214",
    where="step-wise comparison of chains of thought",
    family=("question answering", "reasoning"),
    evidence="oracle",
    better="gold",
    unit="share",
    grows="knowledge",
    needs=("generation",),
    differs="ROUGE-L recall of steps only: the cosine of steps and the judge by another model are "
    "left out. A thinking that never closes "
    "counts as it stands, one that is empty as 0.",
)

OPEN, CLOSE = "<think>", "</think>"


def step_recall(records: Records, role: str, *, stemmer: bool = True) -> Measurement:
    """Mean over rows of the mean over the answer's thinking steps of the largest ROUGE-L recall by
    a written step; 0..1.

    Steps are sentences and lines of what stands before the closing ``</think>`` (all of a text
    without one). Their order does not count.
    """

    def score(r: Record) -> float:
        assert r.answer is not None and r.generated is not None
        known, written = (
            sentences(before(text, (CLOSE,)).replace(OPEN, "", 1))
            for text in (r.answer, r.generated)
        )
        best = [
            max((rouge_l_recall_of(step, other, stemmer) for other in written), default=0.0)
            for step in known
        ]
        return sum(best) / len(best) if best else 0.0

    return role_mean(records, role, "step_recall", score, ("answer", "generated"))
