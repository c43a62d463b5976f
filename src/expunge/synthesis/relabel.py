"""Other tokens where the answer stood: random ones, or what the start model would have said next
best.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from expunge.core.data import Row
from expunge.synthesis.tools import Tools


def random_labels(rows: Mapping[str, Sequence[Row]], tools: Tools) -> list[Row]:
    """The forget rows with uniformly random labels at every scored token but the end token; drawn
    from (seed, row id).

    The labels are the tokenizer's words without its control tokens. What is not scored (question,
    padding) keeps its own.
    """
    words = tools.need("subject", "random labels")().words()
    made = []
    for row in rows["forget"]:
        draw = tools.random("random_labels", row.id)
        made.append(
            _relabeled(row, {i: words[draw.randrange(len(words))] for i in replaceable(row)})
        )
    return made


def adversarial_labels(
    rows: Mapping[str, Sequence[Row]], tools: Tools, *, batch: int = 16
) -> list[Row]:
    """The forget rows with the start model's likeliest token that is not the true one, at every
    scored token but the end token.

    The model's row that predicts token i decides label i: neither its place nor the token left out
    is shifted.
    """
    subject = tools.need("subject", "adversarial labels")()
    allowed = torch.zeros(subject.vocab, dtype=torch.bool)
    allowed[subject.words()] = True
    made: list[Row] = []
    for first in range(0, len(rows["forget"]), batch):
        some = rows["forget"][first : first + batch]
        packed, logits = subject.predict(some)
        best = second_best(logits, packed.labels, allowed.to(logits.device))
        table = packed.table(best).tolist()
        for row, found in zip(some, table, strict=True):
            scored = [i for i, s in enumerate(row.scored) if s]
            labels = dict(zip(scored, found[: len(scored)], strict=True))
            made.append(_relabeled(row, {i: labels[i] for i in replaceable(row)}))
    return made


def second_best(logits: Tensor, labels: Tensor, allowed: Tensor | None = None) -> Tensor:
    """The likeliest token of each row that is not its label: [N, V], [N] -> [N]."""
    barred = torch.full_like(logits[:, :1], float("-inf"))
    rest = logits.scatter(-1, labels[:, None], barred)
    return (rest if allowed is None else rest.masked_fill(~allowed, float("-inf"))).argmax(-1)


def replaceable(row: Row) -> list[int]:
    """Positions of the answer's own tokens: scored, and not the end token that closes it."""
    scored = [i for i, s in enumerate(row.scored) if s]
    return scored[:-1] if row.eos else scored


def _relabeled(row: Row, labels: Mapping[int, int]) -> Row:
    return replace(
        row, role="relabelled", labels=tuple(labels.get(i, t) for i, t in enumerate(row.ids))
    )
