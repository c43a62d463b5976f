"""Logits of a batch -> per-token numbers of each of its rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from expunge.core.data import Row
from expunge.evaluation.observations.base import Read
from expunge.models.batching import cut as cut

# logits that are read at once: 2 MB stay in a CPU's cache (3 times as fast at 50000 words)
PIECE, LARGE_PIECE = 1 << 19, 1 << 26

KINDS = {
    "logp": "f4",
    "hit": "?",
    "rank": "i4",
    "top": "i4",
    "mean_logp": "f4",
    "var_logp": "f4",
    "entropy": "f4",
}


def names_of(bits: bool, moments: bool) -> tuple[str, ...]:
    """What ``read_tokens`` gives."""
    return (
        "logp",
        *(("hit", "rank", "top") if bits else ()),
        *(("mean_logp", "var_logp", "entropy") if moments else ()),
    )


def read_tokens(logits: Tensor, labels: Tensor, *, bits: bool, moments: bool) -> dict[str, Tensor]:
    """Per-token numbers from logits [N, V] and labels [N]: float32 log-softmax over the last
    axis, nats.

    ``bits``: hit, rank and arg-max too. ``moments``: mean and variance of log p(v) under p, and the
    entropy.
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
        # where p is 0: 0 times minus infinity (a suppressed token) is not a number
        logp.clamp_(min=-1e4)
        mean = (p * logp).sum(-1)
        found |= {
            "mean_logp": mean,
            "var_logp": (p * (logp - mean[:, None]).square()).sum(-1),
            "entropy": -mean,
        }
    return found


def blank(rows: Sequence[Row], moments: Callable[[Row], bool]) -> dict[tuple[str, str, str], Read]:
    """A Read for every row, to be filled: views of a few arrays that are made before any batch is.

    What is made between batches and stays would lie between the blocks that they give back, which
    then fit nothing: 4 MB of numbers held 540 MB (TOFU forget10, 6868 rows).
    """
    sizes: Counter[str] = Counter()
    spans = []
    for row in rows:
        n = sum(row.scored)
        names = names_of(row.variant == "answer", moments(row))
        spans.append(
            (
                (row.role, row.id, row.variant),
                {name: slice(sizes[name], sizes[name] + n) for name in names},
            )
        )
        sizes.update(dict.fromkeys(names, n))
    whole = {name: np.zeros(n, KINDS[name]) for name, n in sizes.items()}
    return {
        key: Read(**{name: whole[name][span] for name, span in own.items()}) for key, own in spans
    }


def keep_tokens(
    found: Mapping[tuple[str, str, str], Read],
    rows: Sequence[Row],
    logits: Tensor | None,
    labels: Tensor,
    moments: Callable[[Row], bool],
) -> None:
    """Fill the Reads of the rows; ``logits`` [N, V] and ``labels`` [N] hold their scored tokens,
    one row after the other.
    """
    assert logits is not None
    kinds: dict[tuple[bool, bool], list[tuple[Row, range]]] = {}
    start = 0
    for row in rows:
        end = start + sum(row.scored)
        kinds.setdefault((row.variant == "answer", moments(row)), []).append(
            (row, range(start, end))
        )
        start = end
    size = max(1, (PIECE if logits.device.type == "cpu" else LARGE_PIECE) // logits.shape[-1])
    for (bits, wide), members in kinds.items():
        places = torch.tensor(
            [i for _, own in members for i in own], dtype=torch.long, device=labels.device
        ).split(size)
        parts = [
            read_tokens(logits[some], labels[some], bits=bits, moments=wide) for some in places
        ]
        for name in parts[0]:
            values, done = torch.cat([part[name] for part in parts]).cpu().numpy(), 0
            for row, own in members:
                getattr(found[row.role, row.id, row.variant], name)[:] = values[
                    done : done + len(own)
                ]
                done += len(own)
