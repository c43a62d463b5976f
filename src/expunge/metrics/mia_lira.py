"""Membership by LiRA: a row's confidence against that of shadow models that never saw it."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from annotated_types import Gt
from scipy.stats import norm

from expunge.core.card import Card
from expunge.core.results import Measurement, Record, Records, unscored
from expunge.scoring.aggregate import membership_auc, without_gold
from expunge.scoring.per_row import lacking, logit_of, no_rows

card = Card(
    paper="Carlini et al. 2022 (LiRA); Hayes et al. 2025 (U-LiRA)",
    url="https://arxiv.org/abs/2403.01218",
    where="per-example likelihood ratio",
    family=("membership",),
    evidence="oracle",
    better="gold",
    unit="auc",
    grows="knowledge",
    needs=("teacher_forced", "gold", "others"),
    reads=("forget", "holdout"),
    whole=True,
    differs="The golds are the shadows that never saw the forget rows. Without shadows that saw "
    "and unlearned them (subjects shadow/...) "
    "the test is one-sided, LiRA's offline form. The confidence is the mean log-probability, or "
    "its logit.",
)


def mia_lira(
    records: Records,
    gold: Records | None = None,
    *,
    logit: bool = True,
    least_sd: Annotated[float, Gt(0)] = 1e-3,
) -> Measurement:
    """AUC of each row's log-likelihood ratio between its shadows in and out, or of its z-score
    among those out: P(forget > holdout), 0..1.

    ``logit``: the confidence is log(p / (1 - p)), p the probability per token. ``least_sd``:
    standard deviations are kept above it. At least two golds (--gold A,B,...), each another seed of
    the same recipe; with few of them sd is rough. --shadow A,B,...: models that saw the rows and
    unlearned them, for the two-sided test.
    """
    if gold is None or len(gold) == 0:
        several = "needs several models that never saw the forget set; give --gold A,B,..."
        return unscored(
            without_gold(records, several) if records.of("forget") else no_rows("forget"), "gold"
        )
    inside = [s for s in gold.subjects() if s.startswith("shadow/")]
    outside = [s for s in gold.subjects() if s.split("/")[0] == "gold"]
    if len(outside) < 2:
        return unscored(
            f"needs at least two golds, there are {len(outside)}; give --gold A,B,...", "gold"
        )
    tables = {}
    for name in (*outside, *inside):
        rows = [r for role in ("forget", "holdout") for r in gold.only(name).of(role)]
        reason = lacking(rows, "forget", "", ("loss",))
        if reason:
            return unscored(f"{name}: {reason}", "gold")
        tables[name] = {(r.role, r.id): _confidence(r, logit) for r in rows}
    asked = [(role, r.id) for role in ("forget", "holdout") for r in records.of(role)]
    missing = sum(any(key not in t for t in tables.values()) for key in asked)
    if missing:
        return unscored(f"some shadow has no record of {missing} of {len(asked)} rows", "gold")

    def score(r: Record) -> float:
        s = _confidence(r, logit)
        out = np.array([tables[n][r.role, r.id] for n in outside])
        if len(inside) < 2:
            return (s - float(out.mean())) / max(float(out.std(ddof=1)), least_sd)
        seen = np.array([tables[n][r.role, r.id] for n in inside])
        sides = [norm.logpdf(s, x.mean(), max(float(x.std(ddof=1)), least_sd)) for x in (seen, out)]
        return float(sides[0] - sides[1])

    return membership_auc(records, "mia_lira", score, ("loss",))


def _confidence(r: Record, logit: bool) -> float:
    return logit_of(r) if logit else -r.loss
