"""How much of each row a model memorized: MA and EL of Knowledge Unlearning."""

from __future__ import annotations

from collections.abc import Sequence

from expunge.core.data import Row
from expunge.models.base import TrainableModel
from expunge.scoring.overlap import overlap


def accuracy(
    subject: TrainableModel, rows: Sequence[Row], *, span: str = "all", batch: int = 16
) -> list[float]:
    """MA of each row: the share of its tokens that are the likeliest one after the true tokens
    before them, in [0, 1].

    ``span="all"``: every token but the first, as the paper has it; ``answer``: the scored tokens
    only (exact memorization).
    """
    found: list[float] = []
    for first in range(0, len(rows), batch):
        some = rows[first : first + batch]
        packed, logits = subject.predict(some, span=span)
        hits = packed.table((logits.argmax(-1) == packed.labels).double()).sum(1).tolist()
        found += [
            h / max(1, len(r.scored_positions(span))) for h, r in zip(hits, some, strict=True)
        ]
    return found


def extraction(
    subject: TrainableModel, rows: Sequence[Row], *, n: int = 10, span: str = "all", batch: int = 64
) -> list[float]:
    """EL_n of each row: the mean over its prefixes of the overlap of the greedy continuation with
    the true one, in [0, 1].

    The prefixes are those with at least ``n`` tokens behind them; a row of fewer has 0.
    ``span="answer"``: prefixes that end inside the answer (or at its beginning), continued to its
    end. One generation per prefix: dear for long rows.
    """
    asks = [(i, cut) for i, r in enumerate(rows) for cut in _cuts(r, n, span)]
    prefixes = [rows[i].ids[:cut] for i, cut in asks]
    budgets = [len(rows[i]) - cut for i, cut in asks]
    said = subject.generate(prefixes, budgets, ends=(), batch=batch)
    sums = [0.0] * len(rows)
    for (i, cut), ids in zip(asks, said, strict=True):
        sums[i] += overlap(ids, rows[i].ids[cut:], n)
    counts = [len(_cuts(r, n, span)) for r in rows]
    return [s / c if c else 0.0 for s, c in zip(sums, counts, strict=True)]


def _cuts(row: Row, n: int, span: str) -> list[int]:
    first = 1 if span == "all" else row.n_prompt
    return list(range(max(1, first), len(row) - n + 1))
