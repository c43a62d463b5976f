"""KLOM: per row, the KL divergence between margins of several unlearned and several gold models."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

import numpy as np
from annotated_types import Gt

from expunge.core.card import Card
from expunge.core.results import Measurement, Records, unscored
from expunge.scoring.aggregate import mean_measurement
from expunge.scoring.per_row import no_rows
from expunge.scoring.shadow_models import margins_of_sides

card = Card(
    paper="Rinberg et al. 2025",
    url="https://arxiv.org/abs/2410.23232",
    where="KL divergence of margins; RoyRin/data-unlearning-bench",
    family=("gold",),
    evidence="oracle",
    better=0.0,
    unit="nats",
    needs=("teacher_forced", "gold", "others"),
    reads=("forget",),
    whole=True,
    differs="Of an answer the margin is the logit of its probability per token. Normal densities "
    "by default: the authors' histograms of 20 "
    "bins want some hundred models a side. Their code gives the two histograms bins of their own, "
    "so that a mere shift costs nothing; "
    "here they share them.",
)


def klom(
    records: Records,
    gold: Records | None = None,
    *,
    roles: tuple[str, ...] = ("forget",),
    form: Literal["normal", "histogram"] = "normal",
    bins: Annotated[int, Gt(0)] = 20,
    clip: Annotated[float, Gt(0)] = 100.0,
    epsilon: Annotated[float, Gt(0)] = 1e-5,
    least_sd: Annotated[float, Gt(0)] = 1e-3,
) -> Measurement:
    """Mean over rows of KL(margins of the unlearned models || margins of the golds); nats, 0 = as
    gold.

    ``roles``: whose rows. ``form``: normal densities with each side's mean and deviation (above
    ``least_sd``), or histograms of ``bins`` between the lowest and the highest margin of both
    sides, empty bins of gold at ``epsilon``. Margins stay within ``clip``. At least two models a
    side: the judged one with --shadow A,B,..., and --gold A,B,... Parts: ``p95`` over rows, and
    ``floor``: the same between two halves of four golds or more, the least that so few models can
    give.
    """
    rows = [r for role in roles for r in records.of(role)]
    if not rows:
        return unscored(no_rows(roles[0]), 0.0)
    tables = margins_of_sides(records, gold, rows, clip=clip)
    if isinstance(tables, str):
        return unscored(tables, 0.0)

    def divergences(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        pairs = zip(x.T, y.T, strict=True)
        if form == "normal":
            return np.array([_normal(a, b, least_sd) for a, b in pairs])
        return np.array([_bins(a, b, bins, epsilon) for a, b in pairs])

    each = divergences(tables["shadow"], tables["gold"])
    parts = {"p95": float(np.quantile(each, 0.95))}
    if len(tables["gold"]) >= 4:
        halves = divergences(tables["gold"][::2], tables["gold"][1::2])
        parts["floor"] = float(halves.mean())
    return replace(mean_measurement(each, rows, 0.0), parts=parts)


def _normal(x: np.ndarray, y: np.ndarray, least: float) -> float:
    a, b = (max(float(v.std(ddof=1)), least) for v in (x, y))
    return float(np.log(b / a) + (a**2 + (x.mean() - y.mean()) ** 2) / (2 * b**2) - 0.5)


def _bins(x: np.ndarray, y: np.ndarray, bins: int, epsilon: float) -> float:
    ends = (min(x.min(), y.min()), max(x.max(), y.max()))
    p, q = (np.histogram(v, bins, ends)[0] / len(v) for v in (x, y))
    there = p > 0
    return float(np.sum(p[there] * np.log(p[there] / np.maximum(q[there], epsilon))))
