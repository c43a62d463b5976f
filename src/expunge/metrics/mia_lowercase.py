"""Membership by lower-casing: how much likelihood a text loses without its capitals."""

from __future__ import annotations

from expunge.core.card import Card
from expunge.core.results import Measurement, Record, Records, unscored
from expunge.scoring.aggregate import membership_auc
from expunge.scoring.per_row import lacking

card = Card(
    paper="Carlini et al. 2021",
    url="https://arxiv.org/abs/2012.07805",
    where="comparing to lowercased text",
    family=("membership",),
    evidence="oracle",
    better="gold",
    unit="auc",
    grows="knowledge",
    needs=("teacher_forced", "lower"),
    reads=("forget", "holdout"),
    whole=True,
    differs="Of a question only the answer is lowered. The ratio is of mean losses per token, each "
    "text in its own tokens.",
)


def mia_lowercase(records: Records, gold: Records | None = None) -> Measurement:
    """AUC of loss of the lowered text / loss of the text, eos included: P(forget > holdout), 0..1.

    ``gold`` is not used.
    """
    low: dict[tuple[str, str], Record] = {}
    for role in ("forget", "holdout"):
        found, rows = records.of(role, "lower"), records.of(role)
        low |= {(role, r.id): r for r in found}
        missing = sum((role, r.id) not in low and "mia_lowercase" not in r.given for r in rows)
        reason = (
            f"{missing} of {len(rows)} rows of role {role} have no lowered text of the same id"
            if missing
            else None
        )
        if found and not missing:
            reason = lacking(found, role, "", ("loss",))
        if reason:
            return unscored(reason, "gold")
    return membership_auc(
        records, "mia_lowercase", lambda r: low[r.role, r.id].loss / max(r.loss, 1e-12), ("loss",)
    )
