"""S1: the teacher-forced pass.

Answers to one prompt share it, and prompts that begin alike share their beginning.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from expunge.core.data import Row
from expunge.core.progress import Tick
from expunge.evaluation.observations.base import Cost, Read
from expunge.evaluation.observations.token_values import blank, cut, keep_tokens
from expunge.models.causal_lm.answer_trees import (
    Tree,
    forward_trees,
    goes_on,
    grow,
    longest,
    pack_trees,
)
from expunge.models.causal_lm.forward import at_once, capacity_for, forward, pack
from expunge.models.causal_lm.model import Subject
from expunge.models.causal_lm.modules import evaluating
from expunge.models.causal_lm.prefix_cache import families, read

# of a batch that goes on from a shared beginning: its keys and values are held once a line
KEYS = 1 << 14


def score(
    subject: Subject, rows: Sequence[Row], *, moments: Callable[[Row], bool], tick: Tick, cost: Cost
) -> dict[tuple[str, str, str], Read]:
    """S1 of every row, by (role, id, variant). Batches are bounded in tokens.

    Long rows come first: what their batches give back has room for all that follow.
    """
    model = subject.model
    fits = longest(model)
    trees = [
        x
        for t in grow(rows)
        for x in ([t] if max(map(len, t.rows)) <= fits else [Tree((r,)) for r in t.rows])
    ]
    # the last token of a prompt predicts, so it is not shared
    alike = families([t.rows[0].ids[: max(0, t.shared - 1)] for t in trees], subject.device)
    if len(alike) > 1 and not goes_on(model):
        alike = [(0, list(range(len(trees))))]
    most = max(512, min(at_once(subject.device), (1 << 28) // subject.vocab))
    found = blank(rows, moments)
    with evaluating(model):
        for shared, members in alike:
            some = sorted((replace(trees[i], read=shared) for i in members), key=len)
            memory = read(model, some[0].rows[0].ids[:shared]) if shared else None
            cost.tokens += shared
            size = lambda t, shared=shared: max(len(t), -(-(shared + len(t)) * most // KEYS))
            for batch in reversed(cut([t for t in some if shared or len(t.rows) > 1], most, size)):
                packed = pack_trees(batch)
                keep_tokens(
                    found,
                    packed.rows,
                    forward_trees(model, packed, memory).logits,
                    packed.labels.to(subject.device),
                    moments,
                )
                _count(cost, len(packed.rows), sum(map(len, batch)), tick)
            for rows_ in reversed(
                cut([t.rows[0] for t in some if not shared and len(t.rows) == 1], most)
            ):
                flat = pack(rows_, capacity_for(model)).to(subject.device)
                keep_tokens(found, flat.rows, forward(model, flat).logits, flat.labels, moments)
                _count(cost, len(rows_), sum(map(len, rows_)), tick)
    return found


def _count(cost: Cost, rows: int, tokens: int, tick: Tick) -> None:
    cost.rows += rows
    cost.tokens += tokens
    tick(rows)
