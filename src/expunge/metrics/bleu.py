"""BLEU: overlap of word n-grams up to four between the right answer and the generated text."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Gt

from expunge.core.card import Card
from expunge.core.results import Measurement, Record, Records
from expunge.scoring.aggregate import role_mean
from expunge.scoring.text import bleu_of

card = Card(
    paper="Papineni et al. 2002; Post 2018",
    url="https://aclanthology.org/P02-1040/",
    where="brevity penalty and modified n-gram precision",
    evidence="oracle",
    better="gold",
    unit="share",
    grows="knowledge",
    needs=("generation",),
    differs="A mean of sentence scores, not one score of the corpus, so that rows can be "
    "resampled. Words are letters of any script and "
    "single punctuation marks, which is near sacrebleu's 13a but not the same; orders longer than "
    "the output are left out.",
)


def bleu(
    records: Records, role: str, *, order: Annotated[int, Gt(0)] = 4, smooth: bool = True
) -> Measurement:
    """Mean over rows of sentence BLEU of the greedy output against the answer; 0..1, an empty
    output gives 0.

    ``order``: the longest sequences that count. ``smooth``: a precision of 0 is halved down from
    one match instead of making the whole score 0 (sacrebleu's ``exp``).
    """

    def score(r: Record) -> float:
        assert r.answer is not None and r.generated is not None
        return bleu_of(r.answer, r.generated, order, smooth)

    return role_mean(records, role, "bleu", score, ("answer", "generated"))
