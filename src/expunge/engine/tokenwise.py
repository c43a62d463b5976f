"""Logits of a batch -> per-token numbers of each of its rows (S1)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from expunge.core.types import Row
from expunge.engine.batching import cut as cut
from expunge.engine.reads import Read

PIECE, LARGE_PIECE = 1 << 19, 1 << 26  # logits that are read at once: 2 MB stay in a CPU's cache (3 times as fast at 50000 words)


def read_tokens(logits: Tensor, labels: Tensor, *, bits: bool, moments: bool) -> dict[str, Tensor]:
    """Per-token numbers of S1 from logits [N, V] and labels [N]: float32 log-softmax over the last axis, nats.

    ``bits``: hit, rank and arg-max too. ``moments``: mean and variance of log p(v) under p, and the entropy.
    """
    z = logits.float()
    logp = z.log_softmax(-1)
    found = {"logp": logp.gather(-1, labels[:, None])[:, 0]}
    if bits:
        top = z.argmax(-1)
        rank = (z > z.gather(-1, labels[:, None])).sum(-1, dtype=torch.int32)
        found |= {"hit": top == labels, "rank": rank, "top": top.int()}
    if moments:
        p = logp.exp()
        logp.clamp_(min=-1e4)  # where p is 0: 0 times minus infinity (a suppressed token) is not a number
        mean = (p * logp).sum(-1)
        found |= {"mean_logp": mean, "var_logp": (p * (logp - mean[:, None]).square()).sum(-1), "entropy": -mean}
    return found


def keep_tokens(
    found: dict[tuple[str, str, str], Read], rows: Sequence[Row], logits: Tensor | None, labels: Tensor, moments: Callable[[Row], bool]
) -> None:
    """Put the Read of every row into ``found``; ``logits`` [N, V] and ``labels`` [N] hold the rows' scored tokens one row after the other.

    The reads of a batch are views of its arrays: little blocks of their own would keep apart what the model gives back between batches.
    """
    assert logits is not None
    kinds: dict[tuple[bool, bool], list[int]] = {}
    spans, start = [], 0
    for row in rows:
        end = start + sum(row.scored)
        kind = (row.variant == "answer", moments(row))
        kinds.setdefault(kind, []).extend(range(start, end))
        spans.append((row, kind, start, end))
        start = end
    size = max(1, (PIECE if logits.device.type == "cpu" else LARGE_PIECE) // logits.shape[-1])
    filled: dict[str, np.ndarray] = {}
    for (bits, wide), places in kinds.items():
        for some in torch.tensor(places, dtype=torch.long, device=labels.device).split(size):
            for name, x in read_tokens(logits[some], labels[some], bits=bits, moments=wide).items():
                values = x.cpu().numpy()
                filled.setdefault(name, np.zeros(start, values.dtype))[some.cpu().numpy()] = values
    for row, (bits, wide), a, b in spans:
        names = ("logp", *(("hit", "rank", "top") if bits else ()), *(("mean_logp", "var_logp", "entropy") if wide else ()))
        found[row.role, row.id, row.variant] = Read(**{n: filled[n][a:b] for n in names})
