"""Membership by loss against a model that never saw the forget set."""

from __future__ import annotations

from expunge.core.card import Card
from expunge.core.results import Measurement, Record, Records, unscored
from expunge.scoring.aggregate import membership_auc, without_gold
from expunge.scoring.per_row import lacking

card = Card(
    paper="Carlini et al. 2021",
    url="https://arxiv.org/abs/2012.07805",
    where="comparing with another language model",
    family=("membership",),
    evidence="reference",
    better="gold",
    unit="auc",
    grows="knowledge",
    needs=("teacher_forced", "gold"),
    reads=("forget", "holdout"),
    whole=True,
)


def mia_reference(records: Records, gold: Records | None = None) -> Measurement:
    """AUC of mean log-probability minus gold's on the same row, eos included: P(forget > holdout),
    0..1; gold itself has .5.

    Needs gold's records of the same rows (matched by id), unless a log gives the scores.
    """
    theirs: dict[tuple[str, str], Record] = {}
    for role in ("forget", "holdout"):
        rows = [r for r in records.of(role) if "mia_reference" not in r.given]
        if rows and gold is None:
            return unscored(without_gold(records), "gold")
        if rows and gold is not None:
            theirs |= {(role, r.id): r for r in gold.of(role)}
            same = [theirs[role, r.id] for r in rows if (role, r.id) in theirs]
            missing = len(rows) - len(same)
            reason = (
                f"no record of {missing} of {len(rows)} rows of role {role}"
                if missing
                else lacking(same, role, "", ("loss",))
            )
            if reason:
                return unscored(f"gold: {reason}", "gold")
    # two passes over the same weights differ by rounding (1e-6 nats): that is a tie, not a ranking
    return membership_auc(
        records, "mia_reference", lambda r: round(theirs[r.role, r.id].loss - r.loss, 4), ("loss",)
    )
