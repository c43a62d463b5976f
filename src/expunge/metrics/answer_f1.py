"""Answer F1: word overlap between the output and the best of the right answers."""

from __future__ import annotations

from collections.abc import Sequence

from expunge.core.card import Card
from expunge.core.results import Measurement, Record, Records
from expunge.scoring.aggregate import role_mean
from expunge.scoring.per_row import before
from expunge.scoring.text import answer_f1_of

card = Card(
    paper="Rajpurkar et al. 2016 (SQuAD); Joshi et al. 2017 (TriviaQA)",
    url="https://arxiv.org/abs/1606.05250",
    where="section 6.1, macro-averaged F1",
    evidence="oracle",
    better="gold",
    unit="share",
    grows="knowledge",
    needs=("generation",),
    differs="An empty output has 0, also where the answer is nothing but an article or a mark.",
)


def answer_f1(records: Records, role: str, *, until: Sequence[str] = ()) -> Measurement:
    """Mean over rows of 2 c / (words of answer + words of output), c the words that both have;
    0..1; the best of several answers counts.

    Words in lower case, without punctuation and articles. ``until``: the output ends where the
    first of these begins.
    """

    def score(r: Record) -> float:
        assert r.answer is not None and r.generated is not None
        said = before(r.generated, until)
        return max(answer_f1_of(right, said) for right in (r.answer, *(r.also or ())))

    return role_mean(records, role, "answer_f1", score, ("answer", "generated"))
