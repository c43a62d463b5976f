"""Forget quality: KS test of the truth ratios against those of a model trained without the rows."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Ge

from expunge.core.card import Card
from expunge.core.results import Measurement, Records, unscored
from expunge.scoring.aggregate import groups_of
from expunge.scoring.bootstrap import ks_interval, ks_pvalue
from expunge.scoring.per_row import log_truth_ratios, not_finite
from expunge.scoring.permutation import ks_pvalue_by_groups

card = Card(
    paper="Maini et al. 2024",
    url="https://arxiv.org/abs/2401.06121",
    where="evaluation metrics: forget quality",
    evidence="reference",
    better="higher",
    needs=("teacher_forced", "paraphrase", "perturbed", "gold"),
    reads=("forget",),
    whole=True,
    differs="open-unlearning adds 1e-10 to the denominator of the truth ratio, so that the ratios "
    "of a collapsed model all become 0 "
    "and the p-value says nothing about the model: epsilon=1e-10 gives its form.",
)

ALIKE = (
    "the test takes rows of one group for independent and tells models that are alike apart too "
    "often (at .05 in 11 to 25 % of simulated "
    "cases); with whole groups exchanged p is {} (at least {} for so many groups)"
)


def forget_quality(
    records: Records,
    gold: Records | None = None,
    *,
    epsilon: Annotated[float, Ge(0)] = 0.0,
    by: Literal["rows", "groups"] = "rows",
) -> Measurement:
    """p-value of the two-sample Kolmogorov-Smirnov test between the truth ratios of this model and
    of gold on the forget rows.

    0..1; 1 = the same distribution. It depends on n (its floor is 1.9e-23 for 40 rows, 1.06e-239
    for 400): never compare it across n.

    The test takes rows for independent. Twenty questions about one author are not: where each model
    has its own luck with an author, two models that are alike are told apart at .05 in 11 to 25 %
    of cases instead of 5 (simulated: 20 authors of 20 rows that carry a twentieth to a tenth of the
    variance). ``by="groups"`` exchanges whole authors between the two models instead and holds its
    level; rows is the published form. Parts: ``by_groups``, that p-value, and ``least_by_groups``,
    the least that so few groups allow (.5 for the two authors of forget01).
    """
    if gold is None:
        return unscored(
            "needs the records of a model that never saw the forget set; give --gold", "higher"
        )
    sides = []
    for name, source in (("this model", records), ("gold", gold)):
        found = log_truth_ratios(source, "forget", epsilon)
        reason = found if isinstance(found, str) else not_finite(found[1], "forget")
        if reason or isinstance(found, str):
            return unscored(f"{name}: {reason}", "higher")
        sides.append((found[1], groups_of(found[0])))
    (x, g), (y, h) = sides
    fewest = min(len(set(g)), len(set(h)))
    clustered, least = ks_pvalue_by_groups(x, g, y, h)
    parts = {"by_groups": clustered, "least_by_groups": least}
    if by == "groups":
        return Measurement(
            clustered, len(x), len(set(g)), None, "higher", None, parts, fewest=fewest
        )
    alike = len(set(g)) < len(x)
    note = ALIKE.format(f"{clustered:.2g}", f"{least:.2g}") if alike else ""
    return Measurement(
        ks_pvalue(x, y),
        len(x),
        len(set(g)),
        ks_interval(x, g, y, h),
        "higher",
        None,
        parts,
        note=note,
        fewest=fewest,
    )
