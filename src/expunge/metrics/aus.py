"""AUS: adaptive unlearning score, kept accuracy over how far forget rows stand out."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from expunge.core.card import Card
from expunge.core.results import Measurement, Records, unscored
from expunge.scoring.aggregate import groups_of
from expunge.scoring.bootstrap import mean_draws, percentile_interval
from expunge.scoring.per_row import lacking, no_rows, not_finite, tokens

card = Card(
    paper="Cotogni et al. 2023 (DUCK)",
    url="https://arxiv.org/abs/2312.02052",
    where="adaptive unlearning score",
    family=("aggregate",),
    evidence="oracle",
    better="higher",
    needs=("teacher_forced", "others"),
    reads=("forget", "retain"),
    whole=True,
    differs="Accuracies of a classifier become shares of arg-max tokens of the answers; the test "
    "set is the retain role, "
    "which is trained on, so the form for a whole class is the default: by the other an untouched "
    "model is perfect. It has no gold.",
)


def aus(
    records: Records,
    gold: Records | None = None,
    *,
    form: Literal["homogeneous", "class"] = "class",
    test: str = "retain",
) -> Measurement:
    """(1 - (a_original - a_test)) / (1 + a_forget), or / (1 + |a_forget - a_test|) where the forget
    rows are some of many alike.

    a: mean share of arg-max tokens, 0..1; a_original: that of the model before unlearning on
        ``test``. As before on test and nothing of the forget rows gives 1; ``homogeneous``: forget
        rows like test rows, which then must be rows that no model saw (``test="holdout"``).
    """
    before = gold.only("original") if gold is not None else Records()
    sources = {"forget": records.of("forget"), test: records.of(test), "original": before.of(test)}
    if not sources["forget"] or not sources[test]:
        return unscored(no_rows("forget" if not sources["forget"] else test), "higher")
    if not sources["original"]:
        return unscored(
            "needs the records of the model before unlearning; give --original", "higher"
        )
    means, drawn, labels = {}, {}, {}
    for stream, (name, rows) in enumerate(sources.items()):
        reason = lacking(rows, rows[0].role, "", ("hit",))
        x = (
            np.empty(0)
            if reason
            else np.array([np.mean(tokens(r.hit, r, False)) for r in rows if r.hit is not None])
        )
        reason = reason or not_finite(x, rows[0].role)
        if reason:
            return unscored(reason, "higher")
        labels[name] = groups_of(rows)
        means[name] = float(x.mean())
        # the same groups are drawn with those of the unlearned model's test rows
        shared = 1 if name == "original" else stream
        drawn[name] = mean_draws(x[None], labels[name], stream=shared)[:, 0]
    value = float(_score(means["forget"], means[test], means["original"], form))
    fewest = min(len(set(g)) for g in labels.values())
    scores = _score(drawn["forget"], drawn[test], drawn["original"], form)
    interval = percentile_interval(scores, value, fewest) if fewest > 1 else None
    n, n_groups = (
        len(labels["forget"]) + len(labels[test]),
        len(set(labels["forget"])) + len(set(labels[test])),
    )
    return Measurement(value, n, n_groups, interval, "higher", parts=means, fewest=fewest)


def _score(forget: Any, test: Any, original: Any, form: str) -> Any:
    return (1 - (original - test)) / (
        1 + (np.abs(forget - test) if form == "homogeneous" else forget)
    )
