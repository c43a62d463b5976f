"""RESTOR's read-out: whether the original fact, the corrupted one or neither is most likely."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge

from expunge.core.card import Card
from expunge.core.results import Measurement, Records, unscored
from expunge.scoring.aggregate import mean_measurement
from expunge.scoring.choices import text_choices, text_scores

card = Card(
    paper="Rezaei et al. 2025 (RESTOR)",
    url="https://arxiv.org/abs/2411.00204",
    where="logit analysis: normalized probabilities of correct, corrupted and random answers",
    family=("restoration",),
    evidence="oracle",
    better="higher",
    unit="share",
    needs=("option_texts",),
    differs="The paper's accuracy has a language model judge sampled answers; this is its logit "
    "analysis, decided by the likeliest option.",
)


def restoration(
    records: Records,
    role: str,
    *,
    by: Literal["mean", "sum"] = "mean",
    corrupted: Annotated[int, Ge(0)] = 1,
) -> Measurement:
    """Share of rows whose original answer is the likeliest option; higher is better.

    Among the parts: recovered, corrupted, neither (they sum to 1), and the mean probability of each
    among the options.

    The right option of a row is the original fact, option ``corrupted`` what the corruption taught,
    all others are neither. A method that only removes the corruption scores under neither. ``by``:
    log-probabilities per token, or of the whole answer.
    """
    found = text_choices(records, role, by)
    if isinstance(found, str):
        return unscored(found, "higher")
    rows, chosen = found
    right = np.array([r.right for r in rows])
    short = sum(
        len(r.options) <= corrupted or r.right == corrupted for r in rows if r.options is not None
    )
    if short:
        return unscored(
            f"{short} of {len(rows)} rows of role {role} have no corrupted option at place "
            f"{corrupted}",
            "higher",
        )
    kind = np.where(chosen == right, 0, np.where(chosen == corrupted, 1, 2))
    m = mean_measurement((kind == 0).astype(float), rows, "higher")
    scores = [text_scores(r, by) for r in rows]
    shares = [np.exp(s - np.logaddexp.reduce(s)) for s in scores]
    of = {
        "recovered": np.array([p[i] for p, i in zip(shares, right, strict=True)]),
        "corrupted": np.array([p[corrupted] for p in shares]),
    }
    parts = {
        name: float(np.mean(kind == i))
        for i, name in enumerate(("recovered", "corrupted", "neither"))
    }
    parts |= {f"probability of {name}": float(p.mean()) for name, p in of.items()}
    return replace(m, parts=parts)
