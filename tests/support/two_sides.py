"""Several unlearned models and several golds, as records with the margins that a test wants."""

from dataclasses import replace

import numpy as np

from expunge.core.results import Records


def models(row, margins, kind):
    """margins [models, rows] -> Records; the first of the unlearned side is the judged model
    itself.
    """
    p = 1 / (1 + np.exp(-np.asarray(margins)))
    names = [
        kind
        if kind == "unlearned" and i == 0
        else f"{'shadow' if kind == 'unlearned' else kind}/{i}"
        for i in range(len(p))
    ]
    return Records(
        replace(row(i=i, logp=[float(np.log(x))] * 2), subject=s)
        for s, side in zip(names, p, strict=True)
        for i, x in enumerate(side)
    )


def judged(metric, row, unlearned, golds, **given):
    """The metric of the first unlearned model beside its shadows and the golds: margins [models,
    rows] of either side.
    """
    mine = models(row, unlearned, "unlearned")
    others = Records([*models(row, golds, "gold"), *(r for r in mine if r.subject != "unlearned")])
    return metric(mine.only("unlearned"), others, **given)
