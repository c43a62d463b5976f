"""ROUGE-L F1: F1 of the longest common subsequence of right answer and generated text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from annotated_types import Gt

from expunge.core.card import Card
from expunge.core.results import Measurement, Record, Records
from expunge.scoring.aggregate import role_mean
from expunge.scoring.per_row import before, rouge_l_f1_of

card = Card(
    paper="Lin 2004; Shi et al. 2024 (MUSE)",
    url="https://arxiv.org/abs/2407.06460",
    where="verbatim and knowledge memorization",
    evidence="reference",
    better="gold",
    unit="share",
    grows="knowledge",
    needs=("teacher_forced", "generation"),
    differs="MUSE's own code uses no stemmer, open-unlearning's MUSE a stemmer (stemmer=True). An "
    "empty output gives 0. An "
    "answer with letters beyond Latin is cut into words of any script, where rouge-score would "
    "keep ASCII only.",
)


def rouge_l_f1(
    records: Records,
    role: str,
    *,
    stemmer: bool = False,
    until: Sequence[str] = (),
    scale: Annotated[float, Gt(0)] = 1.0,
) -> Measurement:
    """Mean over rows of the harmonic mean of LCS recall and precision (package rouge-score), times
    ``scale``; 0..scale.

    ``until``: the output ends where the first of these strings begins (a model without an end of
    its own writes the next question).
    ``scale``: 100 where a paper prints it so.
    """

    def score(r: Record) -> float:
        assert r.answer is not None and r.generated is not None
        return scale * rouge_l_f1_of(r.answer, before(r.generated, until), stemmer)

    return role_mean(records, role, "rouge_l_f1", score, ("answer", "generated"))
