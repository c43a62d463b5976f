"""The parts of R-TOFU's two aggregates: how near an answer comes in words and in meaning, and how
fluent it is; one value a row each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from expunge.core.results import Measurement, Record, Records, unscored, values
from expunge.scoring.aggregate import groups_of
from expunge.scoring.bootstrap import harmonic_mean, harmonic_mean_interval
from expunge.scoring.per_row import lacking, not_finite, rouge_l_recall_of
from expunge.scoring.text import token_entropy_of

# what another model says stands in ``given``
OPTION = {"semantic_similarity": "--encoder FOLDER", "entailment": "--nli FOLDER"}


def _rouge(r: Record) -> float:
    return rouge_l_recall_of(r.answer or "", r.generated or "")


def _entropy(r: Record) -> float:
    return token_entropy_of(r.generated or "")


OWN: Mapping[str, Callable[[Record], float]] = {"rouge_l_recall": _rouge, "token_entropy": _entropy}


def parts_of_answers(records: Records, role: str, names: Sequence[str]) -> np.ndarray | str:
    """The parts of the scores of a role's reasoned answers.

    Args:
        records: The records of a model.
        role: The role.
        names: The parts.

    Returns:
        Values from 0 to 1, [names, n] (a cosine below 0 counts as 0); or the reason why not.
    """
    rows = records.of(role)
    columns = []
    for name in names:
        reason = lacking(rows, role, name, ("answer", "generated"))
        if reason:
            return reason
        if name in OPTION and any(name not in r.given for r in rows):
            return f"{name} of role {role} needs another model on this machine; give {OPTION[name]}"
        x = np.clip(values(rows, name, OWN.get(name, lambda r: float("nan"))), 0.0, 1.0)
        if reason := not_finite(x, role):
            return reason
        columns.append(x)
    return np.stack(columns)


def aggregate(
    records: Records, roles: Sequence[str], names: Sequence[str], *, gone: bool = False
) -> Measurement:
    """The harmonic mean over roles and parts of their means.

    Args:
        records: The records of a model.
        roles: The roles.
        names: The parts.
        gone: Take one minus each mean.

    Returns:
        The measurement; the means are its parts.
    """
    families: dict[str, tuple[np.ndarray, list[str]]] = {}
    means: dict[str, float] = {}
    for role in roles:
        found = parts_of_answers(records, role, names)
        if isinstance(found, str):
            return unscored(found, "higher")
        found = 1 - found if gone else found
        families[role] = (found, groups_of(records.of(role)))
        label = "1 - " if gone else ""
        means |= {
            f"{label}{role}/{name}": float(x)
            for name, x in zip(names, found.mean(axis=1), strict=True)
        }
    value = float(harmonic_mean(np.array([*means.values()])))
    n = sum(len(labels) for _, labels in families.values())
    groups = sum(len(set(labels)) for _, labels in families.values())
    fewest = min(len(set(labels)) for _, labels in families.values())
    return Measurement(
        value, n, groups, harmonic_mean_interval(families), "higher", None, means, fewest=fewest
    )
