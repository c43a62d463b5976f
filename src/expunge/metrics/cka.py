"""Linear CKA of hidden states with gold's, and the shift of their mean, which CKA cannot see."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

import numpy as np
from annotated_types import Gt

from expunge.core.card import Card
from expunge.core.results import Measurement, Records, unscored
from expunge.scoring.aggregate import beside_gold, groups_of
from expunge.scoring.bootstrap import group_codes, percentile_interval, weights
from expunge.scoring.per_row import no_rows, not_finite
from expunge.scoring.representation import gram, gram_cka, linear_cka

card = Card(
    paper="Kornblith et al. 2019",
    url="https://arxiv.org/abs/1905.00414",
    where="linear CKA, equation 3",
    family=("internals",),
    evidence="oracle",
    better=1.0,
    unit="share",
    needs=("teacher_forced", "hidden_states", "gold"),
    reads=("forget",),
    whole=True,
    differs="The biased estimator of the paper: with fewer rows than dimensions even unrelated "
    "states look alike, so only values of equal "
    "n and width can be compared.",
)


def cka(
    records: Records,
    gold: Records | None = None,
    *,
    layers: tuple[int | float, ...] = (0.25, 0.5, 0.75, 1.0),
    at: Literal["prompt", "answer"] = "prompt",
    draws: Annotated[int, Gt(0)] = 200,
) -> Measurement:
    """Mean over layers of the linear CKA of the forget rows' states with gold's: 0..1; 1 = equal up
    to rotation, scale and shift.

    ``layers``: fractions of the depth or blocks. ``at``: the prompt's last token, or the mean over
    the answer; both decide how the pass is made. ``parts``: ``cka/LAYER``, and ``shift/LAYER``: the
    distance of the two means over the spread of gold's rows about theirs (0 = not moved). One
    forward a row. ``draws``: of the bootstrap over groups.
    """
    if not records.of("forget"):
        return unscored(no_rows("forget"), 1.0)
    pairs = beside_gold(records, gold, "forget", ("states",))
    if isinstance(pairs, str):
        return unscored(pairs, 1.0)
    n = len(layers)
    mine, theirs = (
        np.array([np.reshape(side[i], (n, -1)) for side in states])
        for i, states in ((0, _of(pairs)), (1, _of(pairs)))
    )
    for whose, x in (("", mine), ("gold: ", theirs)):
        reason = not_finite(x.sum((1, 2)), "forget")
        if reason:
            return unscored(whose + reason, 1.0)
    each = np.array([linear_cka(mine[:, i], theirs[:, i]) for i in range(n)])
    if not np.isfinite(each).all():
        return unscored("the states do not differ from row to row; nothing can be compared", 1.0)
    rows = [r for r, _ in pairs]
    codes, names = group_codes(groups_of(rows))
    m = Measurement(
        float(each.mean()),
        len(rows),
        len(names),
        None,
        1.0,
        parts=_parts(mine, theirs, each, layers),
    )
    if len(names) < 2:
        return m
    grams = [(gram(mine[:, i]), gram(theirs[:, i])) for i in range(n)]
    drawn = [
        np.mean([gram_cka(k, other, w[codes]) for k, other in grams])
        for b in weights(len(names), draws=draws)
        for w in b
    ]
    finite = np.array([x for x in drawn if np.isfinite(x)])
    return replace(m, interval=percentile_interval(finite, float(each.mean()), len(names)))


def _of(pairs: list) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(r.observed["states"], g.observed["states"]) for r, g in pairs]


def _parts(
    mine: np.ndarray, theirs: np.ndarray, each: np.ndarray, layers: tuple[float, ...]
) -> dict[str, float]:
    """CKA by layer, and the shift of the mean where the two have the same width."""
    parts = {f"cka/{which}": float(x) for which, x in zip(layers, each, strict=True)}
    if mine.shape == theirs.shape:
        spread = np.sqrt(((theirs - theirs.mean(0)) ** 2).sum(-1).mean(0))
        moved = np.linalg.norm((mine.mean(0) - theirs.mean(0)).astype(np.float64), axis=-1)
        parts |= {
            f"shift/{which}": float(x)
            for which, x in zip(layers, moved / np.maximum(spread, 1e-12), strict=True)
        }
    return parts
