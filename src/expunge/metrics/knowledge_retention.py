"""KRR: share of retain questions still answered, by contradiction and by the answer's names."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Interval

from expunge.core.card import Card
from expunge.core.results import Measurement, Record, Records, unscored
from expunge.scoring.aggregate import role_mean
from expunge.scoring.knowledge import names_of, names_said, reason_against
from expunge.scoring.per_row import is_unlearned

card = Card(
    paper="Xu et al. 2025 (ReLearn)",
    url="https://arxiv.org/abs/2502.11190",
    where="knowledge retention rate; zjunlp/unlearn, evals/evaluate.py, compute_krr",
    family=("semantic",),
    evidence="oracle",
    better="higher",
    unit="share",
    grows="knowledge",
    side="kept",
    needs=("generation", "semantic"),
    differs="Names and numbers are found by spelling, where the authors ask a language model. A "
    "right answer without a name decides by "
    "contradiction alone, where their code calls it lost; without --encoder names match letter by "
    "letter.",
)


def knowledge_retention(
    records: Records,
    role: str,
    *,
    threshold: Annotated[float, Interval(ge=0, le=1)] = 0.3,
    contradiction: bool = True,
    count: Literal["pairs", "names"] = "pairs",
) -> Measurement:
    """Share of rows whose output does not contradict the answer and holds at least ``threshold`` of
    its names; 0..1, on roles to keep.

    ``contradiction``: whether it counts, where contradiction is the likeliest of the judge's labels
    for (answer, output), the other way round than in ``knowledge_forgetting``; it needs --nli
    FOLDER. ``count``: pairs of names that mean the same over the answer's names, as in the authors'
    code, or the answer's names that are said (names). An empty output keeps nothing.
    """
    if is_unlearned(role):
        return unscored(f"role {role} is to be forgotten: ask for knowledge_forgetting", "gold")
    rows = records.of(role)
    reason = reason_against(rows, role, "contradicted_by_answer" if contradiction else "")
    if reason:
        return unscored(reason, "higher")

    def score(r: Record) -> float:
        if not (r.generated or "").strip() or (contradiction and r.given["contradicted_by_answer"]):
            return 0.0
        return float(not names_of(r) or names_said(r, count) >= threshold)

    return role_mean(records, role, "knowledge_retention", score, ("generated",))
