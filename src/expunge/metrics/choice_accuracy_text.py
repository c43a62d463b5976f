"""Accuracy of multiple choice by text: the right option's text is the most likely answer."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from expunge.core.card import Card
from expunge.core.results import Measurement, Records, unscored
from expunge.scoring.aggregate import better_for, mean_measurement
from expunge.scoring.choices import text_choices

card = Card(
    paper="Brown et al. 2020; lm-evaluation-harness mmlu_continuation",
    url="https://github.com/EleutherAI/lm-evaluation-harness",
    where="continuation scoring (acc for by='sum')",
    family=("multiple choice",),
    evidence="oracle",
    better="gold",
    unit="share",
    grows="knowledge",
    needs=("option_texts",),
    differs="lm-evaluation-harness normalizes by bytes (acc_norm); by='mean' here is per token.",
)


def choice_accuracy_text(
    records: Records, role: str, *, by: Literal["mean", "sum"] = "mean"
) -> Measurement:
    """Mean over questions of [arg-max over options of log p(text | question) = right]; 0..1.

    ``by``: mean per token, or sum.

    A model whose letters are broken (always A) but whose knowledge is not is seen here. The other
    normalization is among the parts.
    """
    found = {k: text_choices(records, role, k) for k in ("mean", "sum")}
    mine = found[by]
    if isinstance(mine, str):
        return unscored(mine, better_for(role))
    rows = mine[0]
    right = np.array([r.right for r in rows])
    m = mean_measurement((mine[1] == right).astype(float), rows, better_for(role))
    parts = {k: float(np.mean(v[1] == right)) for k, v in found.items() if not isinstance(v, str)}
    return replace(m, parts=parts)
