"""How far a metric can be believed: whether it separates models that know from those that never
did, and what an attack leaves of it.

After OpenUnlearning's meta-evaluation (https://arxiv.org/abs/2506.12618, sections 4.1 and 4.2) in
the symmetric form of its re-implementation by the authors of the Unlearning Depth Score
(https://arxiv.org/abs/2605.24614).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import spearmanr

from expunge.core.results import Better
from expunge.scoring.bootstrap import Interval, auc, auc_interval

EPS = 1e-12


def oriented(value: float, better: Better, *, falls: bool = False) -> float:
    """A metric's value on the forget rows, turned so that more is more knowledge.

    Args:
        value: The value.
        better: What the measurement says is best on rows to forget. ``lower`` and ``gold`` leave
            the value as it is, ``higher`` negates it, a target gives the distance from it.
        falls: Whether a metric compared with gold falls as a model knows more (perplexity).

    Returns:
        The value, turned.
    """
    if isinstance(better, (int, float)):
        return abs(value - better)
    return -value if better == "higher" or falls else value


@dataclass(frozen=True)
class Faithful:
    """AUC over two pools of models, its 95 % interval (models drawn with replacement), the
    threshold between them and the pools' sizes.
    """

    auc: float
    interval: Interval | None
    threshold: float
    knowing: int
    never: int


def faithfulness(knows: Sequence[float], never: Sequence[float]) -> Faithful:
    """P(a model that knows is above one that never did), ties count half.

    Args:
        knows: Values of models that know, oriented.
        never: Values of models that never did.

    Returns:
        The AUC with its interval, and the threshold.

    >>> faithfulness([3.0, 2.0], [1.0, 0.0]).auc
    1.0
    """
    p = np.asarray(knows, dtype=np.float64)
    n = np.asarray(never, dtype=np.float64)
    labels = [str(i) for i in range(len(p))], [str(i) for i in range(len(n))]
    return Faithful(
        auc(p, n), auc_interval(p, labels[0], n, labels[1]), threshold(p, n), len(p), len(n)
    )


def threshold(knows: np.ndarray, never: np.ndarray) -> float:
    """The value from which a model counts as knowing.

    Args:
        knows: Values of models that know, oriented.
        never: Values of models that never did.

    Returns:
        The cut with the best balanced accuracy, in the middle of its gap.
    """
    values = np.unique(np.concatenate([knows, never]))
    cuts = np.concatenate([[values[0]], (values[1:] + values[:-1]) / 2])
    accuracy = []
    for c in cuts:
        accuracy.append(((knows >= c).mean() + (never < c).mean()) / 2)
    return float(cuts[int(np.argmax(accuracy))])


def alike(change: float, other: float) -> float:
    """How alike two changes are: 1 - |a - b| / (|a| + |b|).

    Args:
        change: The one change, a.
        other: The other change, b.

    Returns:
        1 where both are the same (or there is none), 0 where they are opposite or one is missing.

    >>> alike(0.2, 0.2), alike(0.3, 0.0), alike(0.0, 0.0)
    (1.0, 0.0, 1.0)
    """
    size = abs(change) + abs(other)
    if size < EPS:
        return 1.0
    return 1 - abs(change - other) / size


def relearning(before: float, after: float, gold_before: float, gold_after: float) -> float:
    """R: whether relearning moves the metric on the unlearned model as it does on gold.

    Args:
        before: The metric on the unlearned model.
        after: The same after relearning.
        gold_before: The metric on gold.
        gold_after: The same after relearning.

    Returns:
        From 0 to 1.
    """
    return alike(after - before, gold_after - gold_before)


def rounding(before: float, after: float) -> float:
    """Q: whether rounding the weights leaves the metric as it was.

    Args:
        before: The metric on the unlearned model.
        after: The same after rounding its weights.

    Returns:
        From 0 to 1.
    """
    return alike(after, before)


def order_kept(before: Sequence[float], after: Sequence[float]) -> float | None:
    """Spearman's rank correlation over models.

    Args:
        before: Values of the models.
        after: Values of the same models after the attack.

    Returns:
        The correlation; None for fewer than three models, or where one side is constant.
    """
    if len(before) < 3 or np.ptp(before) < EPS or np.ptp(after) < EPS:
        return None
    return float(spearmanr(before, after).statistic)
