"""S1: the teacher-forced pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from expunge.core.data import Row
from expunge.core.progress import Tick
from expunge.evaluation.observations.base import Cost, Read
from expunge.evaluation.observations.token_values import blank, keep_tokens
from expunge.models.base import Model


def score(
    subject: Model, rows: Sequence[Row], *, moments: Callable[[Row], bool], tick: Tick, cost: Cost
) -> dict[tuple[str, str, str], Read]:
    """S1 of every row, by (role, id, variant). Batches are bounded in tokens."""
    found = blank(rows, moments)
    with subject.evaluating():
        for batch in subject.scored(rows):
            keep_tokens(found, batch.rows, batch.logits, batch.labels, moments)
            cost.rows += len(batch.rows)
            cost.tokens += batch.tokens
            tick(len(batch.rows))
    return found
