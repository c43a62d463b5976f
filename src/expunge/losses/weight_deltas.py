"""Algebra of weight changes: mappings of parameter name to tensor, a vector space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Changes = dict[str, Tensor]


@dataclass(frozen=True)
class Trained:
    """What a term over weights may see: the trained parameters now (with gradient) and at the start
    of the stage, by name.

    ``seed`` is the run's, ``step`` counts from 0: for terms that draw directions.
    """

    now: Mapping[str, Tensor]
    start: Mapping[str, Tensor]
    seed: int = 0
    step: int = 0


def difference(new: Mapping[str, Tensor], old: Mapping[str, Tensor]) -> Changes:
    """new - old for every floating tensor, in float32 or wider.

    Args:
        new: Tensors by name.
        old: Tensors of the same names.

    Returns:
        The delta by name.

    Raises:
        LookupError: The names differ.
    """
    if set(new) != set(old):
        raise LookupError(f"the two models differ in parameters: {sorted(set(new) ^ set(old))[:4]}")
    return {n: wide(new[n]) - wide(old[n]) for n in old if old[n].is_floating_point()}


def scaled(delta: Mapping[str, Tensor], factor: float) -> Changes:
    """factor x delta.

    Args:
        delta: A delta by name.
        factor: A number.

    Returns:
        A new delta.
    """
    return {n: factor * d for n, d in delta.items()}


def added(*deltas: Mapping[str, Tensor]) -> Changes:
    """The sum of deltas; a name that one of them lacks counts as zero there.

    Args:
        deltas: Deltas by name.

    Returns:
        A new delta.
    """
    total: Changes = {}
    for delta in deltas:
        for n, d in delta.items():
            total[n] = total[n] + d if n in total else d.clone()
    return total


def mixed(
    one: Mapping[str, Tensor], other: Mapping[str, Tensor], share: float
) -> dict[str, Tensor]:
    """share * one + (1 - share) * other for every tensor.

    Args:
        one: Tensors by name.
        other: Tensors of the same names.
        share: The share of ``one``, 0 to 1.

    Returns:
        Tensors in the dtypes of ``one``: exactly ``one`` at 1 and exactly ``other`` at 0.

    Raises:
        LookupError: The names differ.
        ValueError: The share is outside 0 to 1.

    >>> mixed({"w": torch.tensor([4.0])}, {"w": torch.tensor([0.0])}, 0.25)["w"].item()
    1.0
    """
    if not 0 <= share <= 1:
        raise ValueError(f"a share of {share}; it must be from 0 to 1")
    if set(one) != set(other):
        raise LookupError(
            f"the two models differ in parameters: {sorted(set(one) ^ set(other))[:4]}"
        )
    if share in (0, 1):
        return {n: (one if share else other)[n].detach().to(one[n].dtype, copy=True) for n in one}
    return {
        n: torch.lerp(wide(other[n]).to(one[n].device), wide(one[n]), share).to(one[n].dtype)
        for n in one
    }


def trimmed(delta: Mapping[str, Tensor], density: float) -> Changes:
    """Each tensor with only its largest entries in size; the rest is 0.

    Args:
        delta: A delta by name.
        density: The share of entries that is kept; at least one is.

    Returns:
        A new delta.
    """
    made = {}
    for n, d in delta.items():
        keep = max(1, round(density * d.numel()))
        made[n] = d.clone()
        if keep < d.numel():
            made[n].view(-1)[d.abs().flatten().argsort(descending=True)[keep:]] = 0
    return made


def ties(
    deltas: Sequence[Mapping[str, Tensor]], weights: Sequence[float], density: float
) -> Changes:
    """TIES merging of weight deltas.

    Trim each delta, elect the sign of every entry by the weighted sum, and average the entries that
    have the elected sign (disjoint mean). Merging a delta with itself at density 1 gives it back.
    Source: Yadav et al. 2023, section 3.

    Args:
        deltas: Deltas of the same names.
        weights: A weight for each delta.
        density: The share of entries that trimming keeps.

    Returns:
        The merged delta.

    >>> deltas = [{"w": torch.tensor([3.0, 1.0])}, {"w": torch.tensor([-1.0, 3.0])}]
    >>> ties(deltas, [1.0, 1.0], 1.0)["w"].tolist()
    [3.0, 2.0]
    """
    short = [scaled(trimmed(d, density), w) for d, w in zip(deltas, weights, strict=True)]
    made = {}
    for n in short[0]:
        stack = torch.stack([d[n] for d in short])
        elected = stack * (stack.sign() == stack.sum(0).sign()) * (stack != 0)
        share = torch.stack(
            [torch.full_like(x, w) for x, w in zip(stack, weights, strict=True)]
        ) * (elected != 0)
        made[n] = elected.sum(0) / share.sum(0).clamp(min=torch.finfo(stack.dtype).tiny)
    return made


def regression_mean(grams: Sequence[Tensor], weights: Sequence[Tensor]) -> Tensor:
    """The linear map that best repeats what each of several does on its own inputs.

    W = (sum_i W_i G_i)(sum_i G_i)^-1, in float64; directions that no input has get the least norm.
    Equal maps give that map.

    Args:
        grams: G_i = X^T X of each map's inputs, [in, in].
        weights: The maps W_i, [out, in].

    Returns:
        The map, [out, in].
    """
    wide = [g.double() for g in grams]
    found = torch.stack([w.double() @ g for w, g in zip(weights, wide, strict=True)]).sum(0)
    return (found @ torch.linalg.pinv(torch.stack(wide).sum(0), hermitian=True)).to(
        weights[0].dtype
    )


def wide(x: Tensor) -> Tensor:
    """A tensor without its gradient, in float32 or wider.

    Args:
        x: A tensor.

    Returns:
        The tensor, detached.
    """
    return x.detach().to(torch.promote_types(x.dtype, torch.float32))
