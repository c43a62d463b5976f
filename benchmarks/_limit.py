"""How little work a method could do, against what plain fine-tuning spends on the same rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from _plain import batches_of

from expunge.core.stages import Descent
from expunge.models.causal_lm.modules import blocks
from expunge.training.sampler import Unit, tokens_of
from expunge.training.teachers import layers_of
from expunge.training.term_values import wants_logits


def limit(
    model: Any, stage: Descent, steps: Sequence[Sequence[Unit]], cuts: int
) -> tuple[float, int, int]:
    """(multiplications that the method cannot avoid over those that plain fine-tuning spends, real
    tokens, padded tokens), per step.

    Weight products only. Unavoidable: forward and backward (3 units) of every real token through
    the blocks that the loss can reach and of every scored token through the head, and 1 unit of the
    head per scored token of a cached teacher. Plain: 3 units of everything for every position,
    padding included.
    """
    vocab, width = model.get_input_embeddings().weight.shape
    body = sum(p.numel() for p in blocks(model).parameters() if p.ndim == 2)
    head = width * vocab
    logits = any(map(wants_logits, stage.terms))
    reached = 1.0 if logits else (1 + max(layers_of(stage.terms, "hidden"))) / len(blocks(model))
    scored: set[tuple[str, str]] = (
        {(s, t.span) for t in stage.terms for s in t.streams} if logits else set()
    )
    taught: set[tuple[str, str]] = {
        (s, t.span) for t in stage.terms if "teacher" in t.needs for s in t.streams
    }
    least, real, spent = 0.0, 0, 0
    for i, units in enumerate(steps):
        seen = sum(len(row) for u in units for row in u.values())
        least += 3 * body * reached * seen + head * (
            3 * tokens_in(units, scored) + tokens_in(units, taught)
        )
        real += seen
        spent += sum(len(rows) * max(map(len, rows)) for rows in batches_of(units, cuts, i))
    return least / (3 * (body + head) * spent), real // len(steps), spent // len(steps)


def tokens_in(units: Sequence[Unit], pairs: set[tuple[str, str]]) -> int:
    """Scored tokens of a step under (stream, span) pairs."""
    return sum(tokens_of(u[stream], span) for u in units for stream, span in pairs)
