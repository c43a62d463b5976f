"""How far the trained weights are from where they began: terms that read no rows
(``needs={"weights"}``).
"""

from __future__ import annotations

from functools import partial
from hashlib import blake2b
from typing import Literal

import torch
from torch import Tensor

from expunge.core.stages import Term
from expunge.losses.weight_deltas import Trained

Distance = Literal["sliced_wasserstein", "l2sp", "l1"]


def directions(number: int, width: int, seed: int, step: int, name: str) -> Tensor:
    """Random unit vectors, drawn from (seed, step, tensor's name).

    Args:
        number: How many.
        width: Their length.
        seed: The seed of the run.
        step: The step of the stage.
        name: The name of the tensor.

    Returns:
        The vectors as columns, [width, number].
    """
    key = int.from_bytes(blake2b(f"{seed}/{step}/{name}".encode(), digest_size=7).digest(), "big")
    drawn = torch.randn(number, width, generator=torch.Generator().manual_seed(key))
    return (drawn / drawn.norm(dim=-1, keepdim=True)).T


def sliced_wasserstein(one: Tensor, other: Tensor, along: Tensor) -> Tensor:
    """Mean over directions of the squared distance of sorted projections of rows.

    Args:
        one: Rows, [n, d].
        other: Rows, [n, d].
        along: Directions as columns, [d, k].

    Returns:
        One number; 0 if the rows are the same in another order.
    """
    a, b = ((x @ along.to(x)).sort(dim=0).values for x in (one, other))
    return (a - b).pow(2).sum(0).mean()


def wasserstein_values(t: Trained, *, number: int) -> Tensor:
    """The sliced Wasserstein distance, summed over all trained tensors.

    Args:
        t: The trained weights now and at the start; a vector counts as one row.
        number: How many directions.

    Returns:
        One value, [1].
    """
    total = torch.zeros((), device=next(iter(t.now.values())).device)
    for n, now in t.now.items():
        rows, before = (
            x.reshape(1, -1) if x.dim() < 2 else x.flatten(1) for x in (now, t.start[n])
        )
        total = (
            total
            + sliced_wasserstein(
                rows, before, directions(number, rows.shape[1], t.seed, t.step, n).to(rows.device)
            ).float()
        )
    return total[None]


def power_values(t: Trained, *, power: int) -> Tensor:
    """sum |theta - theta_start|^power over all trained entries.

    Args:
        t: The trained weights now and at the start.
        power: The exponent.

    Returns:
        One value, [1].
    """
    return torch.stack(
        [(now - t.start[n]).abs().pow(power).sum().float() for n, now in t.now.items()]
    ).sum()[None]


def distance(kind: Distance, number: int = 100) -> Term:
    """A term on the distance of the weights from those at the start of the stage.

    Args:
        kind: ``sliced_wasserstein`` along new directions at each step, ``l2sp`` the squared
            Euclidean distance, ``l1`` the absolute.
        number: How many directions.

    Returns:
        The term.
    """
    fn = {
        "sliced_wasserstein": partial(wasserstein_values, number=number),
        "l2sp": partial(power_values, power=2),
        "l1": partial(power_values, power=1),
    }[kind]
    return Term("distance", fn, (), "once", frozenset({"weights"}))
