"""S4: what a model says on its way to an answer: hidden states read as few numbers a row, batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from expunge.core.data import Examples, Row
from expunge.core.errors import Refused
from expunge.core.progress import Tick
from expunge.evaluation.observations.gradient_norm import without_end
from expunge.models.batching import by_length
from expunge.models.causal_lm.forward import Packed, at_once, capacity_for, forward, pack
from expunge.models.causal_lm.hooks import norms_before_head, patched, watched
from expunge.models.causal_lm.model import Subject
from expunge.models.causal_lm.modules import blocks, evaluating
from expunge.models.causal_lm.output_head import Head
from expunge.models.causal_lm.tokenize import encode
from expunge.scoring.representation import layer_of

NEVER = np.iinfo(np.int32).max


def batches(subject: Subject, rows: Sequence[Row]) -> Iterator[tuple[list[int], Packed]]:
    """(places in ``rows``, the rows packed) in batches bounded in tokens, shortest rows first; closing end-of-sequence tokens unscored."""
    bare = [without_end(r) for r in rows]
    most = max(512, min(at_once(subject.device), (1 << 27) // subject.vocab))
    for places in by_length(rows, most):
        yield places, pack([bare[i] for i in places], capacity_for(subject.model)).to(subject.device)


def by_row(packed: Packed, x: Tensor) -> Tensor:
    """Packed values [N, ...] -> their mean over each row's scored tokens: [B, ...]."""
    n = torch.bincount(packed.at[0], minlength=len(packed.rows)).to(x)
    return packed.table(x).sum(1) / n.view(-1, *[1] * (x.dim() - 1))


def lens(subject: Subject, rows: Sequence[Row], tick: Tick = lambda n: None) -> list[dict[str, np.ndarray]]:
    """Every block's output through the model's own final norm and head, of each row.

    ``lens`` [blocks]: the mean log-probability of the answer's tokens, nats. ``lens_rank`` [4 * blocks]: of the answer's first token, how
    many tokens are likelier, how many less likely, and how many gained more, or less, probability from the block below to this one
    (the first block has no block below: out of every budget).
    """
    model = subject.model
    norms, head = norms_before_head(model, rows[0].ids[:4]), Head.of(model).verified(model, rows)
    depth, found = len(blocks(model)), [dict[str, np.ndarray]() for _ in rows]
    with evaluating(model):
        for places, packed in batches(subject, rows):
            first = torch.nonzero(packed.at[1] == 0)[:, 0]
            said = torch.zeros(len(places), depth, dtype=torch.float64)
            ranks = np.full((len(places), 4, depth), NEVER, dtype=np.int32)
            below: list[Tensor] = []

            def see(
                i: int, x: Tensor, packed: Any = packed, first: Any = first, said: Any = said, ranks: Any = ranks, below: Any = below
            ) -> None:
                for norm in norms:
                    x = norm(x)
                logp = head(x).float().log_softmax(-1)
                said[:, i] = by_row(packed, logp.gather(1, packed.labels[:, None])[:, 0].double()).cpu()
                p, label = logp[first].exp(), packed.labels[first, None]
                ranks[:, :2, i] = _ranks(logp[first], label)
                if below:
                    ranks[:, 2:, i] = _ranks(p - below.pop(), label)
                below.append(p)

            with watched(model, packed.predicted_from, see):
                forward(model, packed)
            for place, s, r in zip(places, said.numpy(), ranks, strict=True):
                found[place] = {"lens": s.astype(np.float32), "lens_rank": r.reshape(-1)}
            tick(len(places))
    return found


def _ranks(x: Tensor, label: Tensor) -> np.ndarray:
    """How many entries of each row [B, V] are above, and how many below, that of ``label`` [B, 1]: [B, 2]."""
    own = x.gather(1, label)
    return torch.stack([(x > own).sum(1), (x < own).sum(1)], 1).cpu().numpy()


def depth(subject: Subject, original: Subject, rows: Sequence[Row], tick: Tick = lambda n: None) -> list[np.ndarray]:
    """How much of each answer is lost in the original as it is given this model's states: nats a token [blocks], of each row.

    Block by block, the original's output at the places that predict the answer is replaced by this model's own, teacher-forced;
    mean log p (as it is) - mean log p (patched). blocks + 1 forwards of the original a row, one of this model.
    """
    sizes = [(len(blocks(s.model)), *s.model.get_output_embeddings().weight.shape) for s in (subject, original)]
    if sizes[0] != sizes[1]:
        raise Refused(
            f"states of {subject.source} do not fit into {original.source}: (blocks, vocabulary, width) is {sizes[0]} and {sizes[1]}"
        )
    found: list[np.ndarray] = [np.empty(0)] * len(rows)
    logp = lambda model, packed: by_row(packed, _labels(forward(model, packed).logits, packed.labels))
    with evaluating(subject.model), evaluating(original.model):
        for places, packed in batches(subject, rows):
            states: list[Tensor] = []
            with watched(subject.model, packed.predicted_from, partial(_add, states)):
                forward(subject.model, packed)
            packed = packed.to(original.device)
            whole = logp(original.model, packed)
            lost = []
            for layer, x in enumerate(states):
                with patched(original.model, layer, packed.predicted_from, x.to(original.device)):
                    lost.append(whole - logp(original.model, packed))
            for place, d in zip(places, torch.stack(lost, 1).cpu().numpy(), strict=True):
                found[place] = d.astype(np.float32)
            tick(len(places))
    return found


def _add(states: list[Tensor], _layer: int, x: Tensor) -> None:
    states.append(x)


def _labels(logits: Tensor | None, labels: Tensor) -> Tensor:
    assert logits is not None
    return logits.float().log_softmax(-1).gather(1, labels[:, None])[:, 0].double()


def states(
    subject: Subject,
    rows: Sequence[Row],
    layers: Sequence[float],
    read: Callable[[Packed, Tensor], Tensor],
    *,
    own: bool = False,
    tick: Tick = lambda n: None,
) -> list[np.ndarray]:
    """Of each row the outputs of the blocks that ``layers`` names, in that order: [layers * D], float32.

    ``read(packed, states [N, D]) -> [B, D]`` says which place of a row counts: ``prompt_end`` or ``answer_mean``.
    ``own``: states at the tokens' own places instead of those that predict them.
    """
    chosen = [layer_of(w, len(blocks(subject.model))) for w in layers]
    found: list[np.ndarray] = [np.empty(0)] * len(rows)
    with evaluating(subject.model):
        for places, packed in batches(subject, rows):
            kept: dict[int, Tensor] = {}

            def see(i: int, x: Tensor, packed: Any = packed, kept: Any = kept) -> None:
                if i in chosen:
                    kept[i] = read(packed, x.float()).cpu()

            with watched(subject.model, packed.own if own else packed.predicted_from, see):
                forward(subject.model, packed)
            for place, x in zip(places, torch.stack([kept[i] for i in chosen], 1).numpy(), strict=True):
                found[place] = x.reshape(-1)
            tick(len(places))
    return found


def prompt_end(packed: Packed, x: Tensor) -> Tensor:
    """The state at the prompt's last token: it predicts the answer's first. [N, D] -> [B, D]."""
    return x[packed.at[1] == 0]


def answer_mean(packed: Packed, x: Tensor) -> Tensor:
    """The mean over the places that predict the answer: [N, D] -> [B, D]."""
    return by_row(packed, x)


def answer_end(packed: Packed, x: Tensor) -> Tensor:
    """The state at the answer's last token: [N, D] -> [B, D]."""
    last = torch.bincount(packed.at[0], minlength=len(packed.rows)).cumsum(0) - 1
    return x[last]


def choice_states(
    subject: Subject, rows: Sequence[Row], examples: Examples, layer: float, max_length: int, tick: Tick = lambda n: None
) -> tuple[list[np.ndarray | None], int]:
    """Of each answer the states at its last token and at that of every wrong answer: [answers * D], None where there is no wrong one.

    Also how many answers were read.
    """
    wrong = encode(subject.tokenizer, examples, variants=("perturbed/",), max_length=max_length)
    beside: dict[str, list[Row]] = {}
    for r in wrong:
        beside.setdefault(r.id, []).append(r)
    asked = [a for r in rows if r.id in beside for a in (r, *beside[r.id])]
    ends = iter(states(subject, asked, (layer,), answer_end, own=True) if asked else [])
    tick(len(rows))
    return [np.concatenate([next(ends) for _ in (r, *beside[r.id])]) if r.id in beside else None for r in rows], len(asked)
