"""Forget quality: could the truth ratios of this model be those of one that never saw the forget set?"""

from __future__ import annotations

from expunge.core.records import Records
from expunge.core.types import Card, Measurement, unscored
from expunge.maths.measurements import groups_of
from expunge.maths.scores import log_truth_ratios, not_finite
from expunge.maths.statistics import ks_interval, ks_pvalue

card = Card(
    paper="Maini et al. 2024",
    url="https://arxiv.org/abs/2401.06121",
    where="evaluation metrics: forget quality",
    evidence="reference",
    better="higher",
    unit="share",
    needs=("S1", "paraphrase", "perturbed", "gold"),
    reads=("forget",),
    whole=True,
    differs="open-unlearning adds 1e-10 to the denominator of the truth ratio, so that the ratios of a collapsed model all become 0 "
    "and the p-value says nothing about the model: epsilon=1e-10 gives its form.",
)


def forget_quality(records: Records, gold: Records | None = None, *, epsilon: float = 0.0) -> Measurement:
    """p-value of the two-sample Kolmogorov-Smirnov test between the truth ratios of this model and of gold on the forget rows.

    0..1; 1 = the same distribution. It depends on n (its floor is 1.9e-23 for 40 rows, 1.06e-239 for 400): never compare it across n.
    """
    if gold is None:
        return unscored("needs the records of a model that never saw the forget set; give --gold", "higher")
    sides = []
    for name, source in (("this model", records), ("gold", gold)):
        found = log_truth_ratios(source, "forget", epsilon)
        reason = found if isinstance(found, str) else not_finite(found[1], "forget")
        if reason or isinstance(found, str):
            return unscored(f"{name}: {reason}", "higher")
        sides.append((found[1], groups_of(found[0])))
    (x, g), (y, h) = sides
    return Measurement(ks_pvalue(x, y), len(x), len(set(g)), ks_interval(x, g, y, h), "higher")
