"""Model utility: the harmonic mean of what the model can still do on the rows to keep."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from annotated_types import Ge

from expunge.core.card import Card
from expunge.core.results import Measurement, Record, Records, unscored, values
from expunge.scoring.aggregate import groups_of
from expunge.scoring.bootstrap import harmonic_mean, harmonic_mean_interval
from expunge.scoring.per_row import (
    choice_probabilities,
    lacking,
    log_truth_ratios,
    not_finite,
    probability_of,
    rouge_l_recall_of,
    truth_scores,
)

card = Card(
    paper="Maini et al. 2024",
    url="https://arxiv.org/abs/2401.06121",
    where="evaluation metrics: model utility",
    evidence="reference",
    better="higher",
    unit="share",
    needs=("teacher_forced", "generation", "paraphrase", "perturbed"),
    reads=("retain", "real_authors", "world_facts"),
    whole=True,
    differs="open-unlearning adds 1e-10 to two denominators of its parts: epsilon=1e-10 gives its "
    "form.",
)


def _rouge(r: Record) -> float:
    assert r.answer is not None and r.generated is not None
    return rouge_l_recall_of(r.answer, r.generated)


def _parts(records: Records, role: str, choose: bool, epsilon: float) -> np.ndarray | str:
    """Probability, ROUGE-L recall and truth score of the rows of a role: [3, n], or the reason why
    not.
    """
    rows = records.of(role)
    reason = lacking(rows, role, "rouge_l_recall", ("answer", "generated")) or lacking(
        rows, role, "probability", ("loss",)
    )
    truth = reason or log_truth_ratios(records, role, epsilon)
    chosen = choice_probabilities(records, role, epsilon) if choose else ""
    if isinstance(truth, str):
        return truth
    of_row = dict(zip((r.id for r in truth[0]), truth_scores(truth[1], role), strict=True))
    if len(of_row) != len(rows) or any(r.id not in of_row for r in rows):
        return f"answers and paraphrases of role {role} are not the same rows"
    probability = (
        chosen if isinstance(chosen, np.ndarray) else values(rows, "probability", probability_of)
    )
    return np.stack(
        [
            probability,
            values(rows, "rouge_l_recall", _rouge),
            np.array([of_row[r.id] for r in rows]),
        ]
    )


def model_utility(
    records: Records,
    gold: Records | None = None,
    *,
    roles: tuple[str, ...] = ("retain", "real_authors", "world_facts"),
    choice: tuple[str, ...] = ("real_authors", "world_facts"),
    epsilon: Annotated[float, Ge(0)] = 0.0,
) -> Measurement:
    """Harmonic mean of three parts for each of ``roles``: probability, ROUGE-L recall and truth
    ratio; 0..1, 0 if one part is 0.

    Of the roles in ``choice`` the probability is the one among the given answers (as in
    ``choice_probability``). A benchmark with other roles names its own, e.g. roles=("retain",
    "neighbour"), choice=(). A missing part leaves it unscored: a mean of fewer parts is another
    number. ``gold`` is not used.
    """
    families = {}
    for role in roles:
        columns = _parts(records, role, role in choice, epsilon)
        reason = columns if isinstance(columns, str) else not_finite(columns.sum(axis=0), role)
        if reason or isinstance(columns, str):
            return unscored(f"model utility needs every part: {reason}", "higher")
        families[role] = (columns, groups_of(records.of(role)))
    value = harmonic_mean(np.concatenate([c.mean(axis=1) for c, _ in families.values()]))
    n, n_groups = (sum(len(f(labels)) for _, labels in families.values()) for f in (list, set))
    fewest = min(len(set(labels)) for _, labels in families.values())
    return Measurement(
        float(value), n, n_groups, harmonic_mean_interval(families), "higher", fewest=fewest
    )
