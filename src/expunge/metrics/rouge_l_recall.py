"""ROUGE-L recall: the share of the right answer found, in order, in the generated text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from expunge.core.card import Card
from expunge.core.results import Measurement, Record, Records
from expunge.scoring.aggregate import role_mean
from expunge.scoring.per_row import before, rouge_l_recall_of
from expunge.scoring.text import distinct_rouge_l_recall_of

card = Card(
    paper="Lin 2004; Maini et al. 2024",
    url="https://arxiv.org/abs/2401.06121",
    where="evaluation metrics: ROUGE",
    evidence="reference",
    better="gold",
    unit="share",
    grows="knowledge",
    needs=("teacher_forced", "generation"),
    differs="MUSE scores F1 without a stemmer; this is TOFU's recall with one. The tokenizer of "
    "rouge-score keeps ASCII letters "
    "and digits only; an answer with letters beyond Latin is cut into words of any script instead.",
)


def rouge_l_recall(
    records: Records,
    role: str,
    *,
    variant: str = "answer",
    stemmer: bool = True,
    until: Sequence[str] = (),
    package: Literal["rouge-score", "rouge"] = "rouge-score",
) -> Measurement:
    """Mean over rows of LCS(words of answer, words of greedy output) / words of answer; 0..1, an
    empty output gives 0.

    ``variant``: which answer the output is held against (``answer``, ``paraphrase``). Function
    words alone give a wrong but fluent answer about 0.3: read it beside gold's value. ``until``:
    the output ends where the first of these begins.
    ``package``: whose words count; ``rouge`` counts different words with their case and punctuation
    and knows no stemmer (RWKU).
    """

    def score(r: Record) -> float:
        assert r.answer is not None and r.generated is not None
        said = before(r.generated, until)
        if package == "rouge":
            return distinct_rouge_l_recall_of(r.answer, said.strip())
        return rouge_l_recall_of(r.answer, said, stemmer)

    return role_mean(records, role, "rouge_l_recall", score, ("answer", "generated"), variant)
