"""SemEval-2025 Task 4, task aggregate: the harmonic mean over the subtasks' twelve scores."""

from __future__ import annotations

import numpy as np

from expunge.core.card import Card
from expunge.core.results import Measurement, Records, unscored
from expunge.scoring.bootstrap import harmonic_mean, harmonic_mean_interval
from expunge.scoring.semeval import ROLES, task_scores

card = Card(
    paper="Ramakrishna et al. 2025 (SemEval-2025 Task 4, LUME)",
    url="https://arxiv.org/abs/2502.15097",
    where="task aggregate",
    family=("aggregate",),
    evidence="oracle",
    better="higher",
    unit="share",
    needs=("teacher_forced", "generation"),
    whole=True,
    differs="As in the evaluation script that participants were given: ROUGE-L is its recall with "
    "a stemmer, an exact match is equality "
    "but for case and white space at the ends. Rows weigh alike within a part. The task's own rows "
    "are gated.",
)


def semeval_tasks(
    records: Records, gold: Records | None = None, *, roles: tuple[str, ...] = ROLES
) -> Measurement:
    """Harmonic mean of twelve scores: {forget, retain} x three subtasks x {ROUGE-L of completions,
    exact match of questions}.

    Scores on what is to be forgotten count as one minus themselves. 0 as soon as one of the twelve
    is 0, as many published ones are. A part without rows leaves it unscored. ``gold`` is not used.
    """
    found = task_scores(records, roles)
    if isinstance(found, str):
        return unscored(found, "higher")
    means = {role: float(x.mean()) for role, (x, _) in found.items()}
    value = float(harmonic_mean(np.array([*means.values()])))
    n, groups = (sum(len(f(labels)) for _, labels in found.values()) for f in (list, set))
    fewest = min(len(set(labels)) for _, labels in found.values())
    return Measurement(
        value, n, groups, harmonic_mean_interval(found), "higher", None, means, fewest=fewest
    )
