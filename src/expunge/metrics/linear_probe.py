"""Linear probe: accuracy in telling right from wrong answers by hidden states, on unseen groups."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt

from expunge.core.card import Card
from expunge.core.results import Measurement, Records, unscored
from expunge.scoring.aggregate import better_for, groups_of, mean_measurement
from expunge.scoring.per_row import lacking, not_finite
from expunge.scoring.probe import probed

card = Card(
    paper="Lynch et al. 2024 (latent knowledge); Hewitt and Liang 2019 (control task)",
    url="https://arxiv.org/abs/2402.16835",
    where="probes of hidden states; selectivity against random labels",
    family=("internals",),
    evidence="reconstructed",
    better="gold",
    unit="share",
    grows="knowledge",
    needs=("teacher_forced", "perturbed", "choice_states"),
    differs="The labels are those of the data (the answer against its wrong answers), the states "
    "the judged model's own; read at the "
    "answer's last token. Wrong answers may differ in style, which a probe reads as well: hold it "
    "against gold.",
)


def linear_probe(
    records: Records,
    role: str,
    *,
    layer: int | float = 0.5,
    c: Annotated[float, Gt(0)] = 1.0,
    seed: Annotated[int, Ge(0)] = 0,
) -> Measurement:
    """Share of (right, wrong) pairs of a row that a logistic regression ranks rightly, mean over
    rows: 0..1, chance .5.

    Half of the groups (drawn from ``seed``) fit the probe that judges the other half, and the other
    way round. ``layer``: a fraction of the depth or a block; it decides how the pass is made.
    ``c``: inverse strength of the penalty. ``parts``: ``control``, the same with a random answer of
    every row called right, and ``selectivity``, the value minus it. One forward an answer.
    """
    rows, better = [r for r in records.of(role) if "choice_states" in r.observed], better_for(role)
    if not rows:
        return unscored(lacking(records.of(role), role, "", ("choice_states",)) or "", better)
    wrong = {id: len(v) for id, v in records.variants(role, "perturbed/").items()}
    if any(r.id not in wrong for r in rows):
        return unscored(
            f"{sum(r.id not in wrong for r in rows)} of {len(rows)} rows of role {role} have no "
            f"wrong answers",
            better,
        )
    groups = groups_of(rows)
    if len(set(groups)) < 2:
        return unscored(
            f"role {role} has a single group; a probe needs one to learn from and another to be "
            f"tried on",
            better,
        )
    x = [
        np.reshape(np.asarray(r.observed["choice_states"], dtype=np.float64), (1 + wrong[r.id], -1))
        for r in rows
    ]
    reason = not_finite(np.array([a.sum() for a in x]), role)
    if reason:
        return unscored(reason, better)
    rng = np.random.default_rng(seed)
    names = list(dict.fromkeys(groups))  # not sorted: ids are hashes under a run's secret
    first = set(rng.permutation(names)[: len(names) // 2].tolist())
    half = np.array([g in first for g in groups])
    m = mean_measurement(_ranked(x, np.zeros(len(x), dtype=int), half, c), rows, better)
    control = float(_ranked(x, np.array([rng.integers(len(a)) for a in x]), half, c).mean())
    assert m.value is not None
    return replace(m, parts={"control": control, "selectivity": m.value - control})


def _ranked(x: list[np.ndarray], right: np.ndarray, half: np.ndarray, c: float) -> np.ndarray:
    """Of every row the share of answers that its probe puts below the ``right`` one, ties a half:
    [n].
    """
    row = np.repeat(np.arange(len(x)), [len(a) for a in x])
    y = np.concatenate([np.arange(len(a)) == k for a, k in zip(x, right, strict=True)])
    flat, found = np.concatenate(x), np.zeros(len(x))
    for train in (half, ~half):
        scores = probed(flat, y, train[row], c)
        for i in np.flatnonzero(~train):
            own = scores[row == i]
            below = (own < own[right[i]]).sum() + ((own == own[right[i]]).sum() - 1) / 2
            found[i] = below / (len(own) - 1)
    return found
