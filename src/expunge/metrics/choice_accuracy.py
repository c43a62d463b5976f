"""Accuracy of multiple choice by letter: the right option's letter is the most likely letter."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from expunge.core.card import Card
from expunge.core.results import Measurement, Records, unscored
from expunge.scoring.aggregate import better_for, mean_measurement
from expunge.scoring.choices import letters_of

card = Card(
    paper="Hendrycks et al. 2021 (MMLU); Li et al. 2024 (WMDP)",
    url="https://arxiv.org/abs/2403.03218",
    where="zero-shot accuracy, options scored as letters; lm-evaluation-harness tasks mmlu and "
    "wmdp",
    family=("multiple choice",),
    evidence="oracle",
    better="gold",
    unit="share",
    grows="knowledge",
    needs=("multiple_choice",),
    differs="The order of the data is the published one; turns='all' averages over all rotations "
    "of the options. Of equal scores the "
    "first shown wins, so a model without preference gets the share of A answers, not one over the "
    "number of options.",
)


def choice_accuracy(
    records: Records, role: str, *, turns: Literal["first", "all"] = "first"
) -> Measurement:
    """Mean over questions of [arg-max letter = right letter]; 0..1.

    What saying A always would get is among the parts.

    ``turns``: first = the options in the order of the data; all = mean over as many orders as there
    are options, each beginning with another one, which removes a liking for a letter. It measures
    whether a model puts a letter: see ``choice_accuracy_text``.
    """
    found = letters_of(records, role)
    if isinstance(found, str):
        return unscored(found, better_for(role))
    hits = (found.chosen == found.right).astype(float)
    m = mean_measurement(
        hits[:, 0] if turns == "first" else hits.mean(axis=1), found.rows, better_for(role)
    )
    parts = {f"turn {t}": float(hits[:, t].mean()) for t in range(found.options)}
    always = {"always A": float(np.mean(found.right[:, 0] == 0))}
    return replace(m, parts=parts | always)
