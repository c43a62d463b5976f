"""KFR: share of forget questions whose answer is gone, by contradiction and by its names."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Ge, Interval

from expunge.core.card import Card
from expunge.core.results import Measurement, Record, Records, unscored
from expunge.scoring.aggregate import role_mean
from expunge.scoring.knowledge import names_of, names_said, reason_against
from expunge.scoring.per_row import is_unlearned

card = Card(
    paper="Xu et al. 2025 (ReLearn)",
    url="https://arxiv.org/abs/2502.11190",
    where="knowledge forgetting rate; zjunlp/unlearn, evals/evaluate.py, compute_kfr",
    family=("semantic",),
    evidence="oracle",
    better="gold",
    unit="share",
    side="forgotten",
    needs=("generation", "semantic"),
    differs="Names and numbers are found by spelling, where the authors ask a language model. A "
    "right answer without a name decides by "
    "contradiction alone, where their code calls it forgotten; without --encoder names match "
    "letter by letter.",
)


def knowledge_forgetting(
    records: Records,
    role: str,
    *,
    threshold: Annotated[float, Interval(ge=0, le=1)] = 0.3,
    few: Annotated[int, Ge(0)] = 3,
    few_threshold: Annotated[float, Interval(ge=0, le=1)] = 0.5,
    contradiction: bool = True,
    count: Literal["pairs", "names"] = "pairs",
) -> Measurement:
    """Share of rows whose output contradicts the answer, or holds at most ``threshold`` of its
    names; 0..1, on forget and holdout roles.

    ``few``, ``few_threshold``: an answer of at most so many names counts as forgotten at this
    share. ``contradiction``: whether it counts, where contradiction is the likeliest of the judge's
    labels for (output, answer); it needs --nli FOLDER. ``count``: pairs of names that mean the same
    over the answer's names, as in the authors' code, or the answer's names that are said (names).
    An empty output names nothing, so it counts as forgotten. What is to be kept has
    ``knowledge_retention``.
    """
    if not is_unlearned(role):
        return unscored(
            f"role {role} is to be kept, and its answers are not to go: ask for "
            f"knowledge_retention",
            "higher",
        )
    rows = records.of(role)
    reason = reason_against(rows, role, "contradicts" if contradiction else "")
    if reason:
        return unscored(reason, "gold")

    def score(r: Record) -> float:
        if not (r.generated or "").strip() or (contradiction and r.given["contradicts"]):
            return 1.0
        names = names_of(r)
        limit = few_threshold if len(names) <= few else threshold
        return float(bool(names) and names_said(r, count) <= limit)

    return role_mean(records, role, "knowledge_forgetting", score, ("generated",))
