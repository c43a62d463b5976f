"""Form dependence: how much more leaks in other question forms than in the unlearned one."""

from __future__ import annotations

from typing import Literal

import numpy as np

from expunge.core.card import Card
from expunge.core.results import Measurement, Record, Records, unscored, values
from expunge.scoring.aggregate import groups_of
from expunge.scoring.bootstrap import mean_draws, percentile_interval
from expunge.scoring.per_row import lacking, not_finite, probability_of, rouge_l_recall_of

card = Card(
    paper="Ye et al. 2025 (ORT)",
    url="https://arxiv.org/abs/2506.07795",
    where="form-dependent bias",
    family=("robustness",),
    evidence="reconstructed",
    better=0.0,
    unit="difference",
    needs=("teacher_forced", "generation"),
    reads=("forget", "forget_paraphrased"),
    whole=True,
    differs="The paper's formula was not seen. This is one row of the matrix leak[unlearned "
    "form][asked form]: the mean of the others "
    "minus the diagonal. A run unlearns one form, so the whole matrix takes a run for each.",
)


def form_dependence(
    records: Records,
    gold: Records | None = None,
    *,
    roles: tuple[str, ...] = ("forget", "forget_paraphrased"),
    leak: Literal["rouge", "probability"] = "rouge",
) -> Measurement:
    """Mean leak over the other forms minus the leak in the unlearned form; 0 = forgetting does not
    depend on the form, above 0 it does.

    ``roles``: the form that was unlearned, then the others. ``leak``: ROUGE-L recall of the written
    text, or the answer's probability per token (forms with answers of different length are then not
    comparable). The leak of each form is among the parts. ``gold``: its own difference is
    subtracted, for forms also differ in how well they can be guessed.
    """
    own = _difference(records, roles, leak)
    if isinstance(own, str):
        return unscored(own, 0.0)
    base = _difference(gold, roles, leak) if gold is not None else None
    if isinstance(base, str):
        return unscored(f"gold: {base}", 0.0)
    value, drawn = own[0] - (base[0] if base else 0.0), own[1] - (base[1] if base else 0.0)
    rows = [r for role in roles for r in records.of(role)]
    n_groups = len({r.group for r in rows})
    fewest = min(len(set(groups_of(records.of(role)))) for role in roles)
    interval = percentile_interval(drawn, value, fewest) if fewest > 1 else None
    parts = own[2] | {f"gold {k}": v for k, v in (base[2] if base else {}).items()}
    return Measurement(value, len(rows), n_groups, interval, 0.0, None, parts, fewest=fewest)


def _difference(
    records: Records, roles: tuple[str, ...], leak: str
) -> tuple[float, np.ndarray, dict[str, float]] | str:
    """(difference, its bootstrap draws, leak by form), or the reason why there is none.

    Forms of the same facts are drawn together.
    """
    means, draws = [], []
    first = set(groups_of(records.of(roles[0])))
    for i, role in enumerate(roles):
        rows = records.of(role)
        reason = lacking(rows, role, "", ("answer", "generated") if leak == "rouge" else ("loss",))
        x = (
            np.empty(0)
            if reason
            else values(rows, "", _rouge if leak == "rouge" else probability_of)
        )
        reason = reason or not_finite(x, role)
        if reason:
            return f"form dependence needs every form: {reason}"
        means.append(float(x.mean()))
        draws.append(
            mean_draws(x[None], groups_of(rows), stream=0 if set(groups_of(rows)) == first else i)[
                :, 0
            ]
        )
    return (
        float(np.mean(means[1:])) - means[0],
        np.mean(draws[1:], axis=0) - draws[0],
        dict(zip(roles, means, strict=True)),
    )


def _rouge(r: Record) -> float:
    assert r.answer is not None and r.generated is not None
    return rouge_l_recall_of(r.answer, r.generated)
