"""Membership by ReCaLL: the change in a text's likelihood behind a prefix of unseen texts."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Gt

from expunge.core.card import Card
from expunge.core.results import Measurement, Record, Records, unscored
from expunge.scoring.aggregate import membership_auc
from expunge.scoring.per_row import lacking, no_rows

card = Card(
    paper="Xie et al. 2024 (ReCaLL)",
    url="https://arxiv.org/abs/2406.15968",
    where="relative conditional log-likelihood",
    family=("membership",),
    evidence="oracle",
    better="gold",
    unit="auc",
    grows="knowledge",
    needs=("teacher_forced", "few_shot_prefix"),
    reads=("forget", "holdout"),
    whole=True,
    differs="Seven shots, the paper tries 1 to 28. Shots come from whole groups of holdout rows, "
    "which are then not scored; what begins a "
    "text stands once, in front, and not again in the middle.",
)


def mia_recall(
    records: Records, gold: Records | None = None, *, shots: Annotated[int, Gt(0)] = 7
) -> Measurement:
    """AUC of L(row behind the prefix) / L(row), L mean losses: P(forget > holdout), 0..1.

    ``shots``: how many holdout rows make the prefix (as many as fit in the longest row allowed).
    ``gold`` is not used.
    """
    behind: dict[tuple[str, str], Record] = {}
    for role in ("holdout", "forget"):
        if not records.of(role):
            return unscored(no_rows(role), "gold")
        found = records.of(role, "prefix")
        given = all("mia_recall" in r.given for r in records.of(role))
        reason = (
            None
            if given
            else lacking(found, role, "", ("loss",))
            if found
            else f"no row of role {role} was scored behind a prefix; "
        )
        if reason:
            more = (
                "give more --holdout rows than the prefix takes, or a greater --max-length"
                if reason.endswith("; ")
                else ""
            )
            return unscored(reason + more, "gold")
        behind |= {(role, r.id): r for r in found}
    pairs = Records(
        r
        for role in ("forget", "holdout")
        for r in records.of(role)
        if "mia_recall" in r.given or (role, r.id) in behind
    )
    return membership_auc(
        pairs, "mia_recall", lambda r: behind[r.role, r.id].loss / max(r.loss, 1e-12), ("loss",)
    )
