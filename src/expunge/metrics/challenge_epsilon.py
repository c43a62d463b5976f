"""The NeurIPS-2023 challenge's score: how well margins separate unlearned and retrained models."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import numpy as np
from annotated_types import Gt, Interval

from expunge.core.card import Card
from expunge.core.results import Measurement, Records, unscored
from expunge.scoring.aggregate import mean_measurement
from expunge.scoring.per_row import no_rows
from expunge.scoring.shadow_models import margins_of_sides, most_epsilon, told_apart

card = Card(
    paper="Triantafillou et al. 2024",
    url="https://arxiv.org/abs/2406.09073",
    where="epsilon per example, forgetting quality F; google-deepmind/unlearning_evaluation, "
    "metric.py",
    family=("gold",),
    evidence="oracle",
    better=0.0,
    unit="nats",
    needs=("teacher_forced", "gold", "others"),
    reads=("forget",),
    whole=True,
    differs="The value is the mean epsilon, which few models suffice for; the challenge's score of "
    "512 models a side is the part score, "
    "without its factors of utility. Of an answer the confidence is the logit of its probability "
    "per token. The code tries thresholds on a "
    "grid of .01; here every cut that its rules allow is tried. Two sides that are one constant "
    "are not told apart; the code fails there.",
)


def challenge_epsilon(
    records: Records,
    gold: Records | None = None,
    *,
    roles: tuple[str, ...] = ("forget",),
    delta: Annotated[float, Interval(ge=0, lt=1)] = 1e-5,
    width: Annotated[float, Gt(0)] = 0.5,
) -> Measurement:
    """Mean over rows of epsilon, nats: the greatest log((1 - delta - fpr) / fnr), or with fpr and
    fnr changed over, of attacks by threshold on the row's margin among the unlearned models and the
    golds; at most the part ``ceiling``, 0 only for the very same models.

    The best attack of many finds something by chance, too: models of one kind come to 1.2 with five
    a side (ceiling 1.4), to 1.5 with 64 (4.1). Hold the value against the part ``floor``: the same
    between two halves of six golds or more.

    ``roles``: whose rows. ``width``: of the score's bins. At least three models a side: the judged
    one with --shadow A,B,..., and --gold A,B,...; with N a side no epsilon but that of sides fully
    apart passes log(N - 1), the ``ceiling``, which stands for those, too.
    Parts: ``apart``, the share of rows fully apart; ``score``, the mean of 1 in the bin from 0, a
        half in the next, and so on, nothing beyond log(N - 1) rounded up nor where the sides are
        fully apart.
    """
    rows = [r for role in roles for r in records.of(role)]
    if not rows:
        return unscored(no_rows(roles[0]), 0.0)
    tables = margins_of_sides(records, gold, rows, least=3)
    if isinstance(tables, str):
        return unscored(tables, 0.0)
    n, m = len(tables["shadow"]), len(tables["gold"])
    ceiling = most_epsilon(n, m, delta)
    each = _epsilons(tables["shadow"], tables["gold"], delta)
    bins = np.floor(each / width)
    within = bins + 1 <= np.ceil(np.log(min(n, m) - 1)) / width + 1e-9
    parts = {
        "score": float(np.where(within, 0.5 ** np.where(within, bins, 0), 0.0).mean()),
        "apart": float(np.isinf(each).mean()),
        "ceiling": ceiling,
    }
    if m >= 6:
        one, other = tables["gold"][::2], tables["gold"][1::2]
        parts["floor"] = float(
            np.minimum(
                _epsilons(one, other, delta), most_epsilon(len(one), len(other), delta)
            ).mean()
        )
    return replace(mean_measurement(np.minimum(each, ceiling), rows, 0.0), parts=parts)


def _epsilons(x: np.ndarray, y: np.ndarray, delta: float) -> np.ndarray:
    """The epsilon of each row: [models, rows] of both sides -> [rows]."""
    return np.array([told_apart(a, b, delta) for a, b in zip(x.T, y.T, strict=True)])
