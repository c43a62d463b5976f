"""How two gradients become one: rules for ``Descent.combine``, and the algebra they are made of.

A rule is ``rule(ask, state, **settings) -> gradient``. ``ask(side, at=None)`` is the gradient of
that side's terms over the whole step, at the trained weights or at other weights (``at``);
``ask.value(side)`` is the loss of those terms as it was first asked for; ``ask.weights`` are the
trained weights now, ``ask.lr`` the step's learning rate. ``state`` is the rule's own memory (names
-> numbers or Grads); it stands in the checkpoints. Grads map parameter names to tensors.
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from typing import Any, Protocol

import torch
from torch import Tensor

Grads = dict[str, Tensor]
State = MutableMapping[str, Any]


class Ask(Protocol):
    """What a rule may ask of the optimizer step."""

    weights: Grads
    lr: float
    step: int

    def __call__(self, side: str, at: Grads | None = None) -> Grads: ...

    def value(self, side: str) -> float: ...


def inner(a: Grads, b: Grads) -> Tensor:
    """The inner product <a, b> over all parameters, accumulated in float64.

    Args:
        a: The one gradient.
        b: The other gradient.

    Returns:
        One number.
    """
    return torch.stack([(a[n].double() * b[n].double()).sum() for n in a]).sum()


def norm(a: Grads) -> Tensor:
    """The Euclidean length over all parameters.

    Args:
        a: A gradient.

    Returns:
        One number.
    """
    return inner(a, a).sqrt()


def scaled(a: Grads, factor: float | Tensor) -> Grads:
    """factor x a.

    Args:
        a: A gradient.
        factor: A number.

    Returns:
        A new gradient.
    """
    return {n: (factor * x).to(x.dtype) for n, x in a.items()}


def added(a: Grads, b: Grads, factor: float | Tensor = 1.0) -> Grads:
    """a + factor x b.

    Args:
        a: The one gradient.
        b: The other gradient.
        factor: A number.

    Returns:
        A new gradient.
    """
    return {n: a[n] + (factor * b[n]).to(a[n].dtype) for n in a}


def moving(old: Grads | None, new: Grads, keep: float) -> Grads:
    """The moving average keep x old + (1 - keep) x new.

    Args:
        old: The average so far; None at the first step.
        new: The new gradient.
        keep: The weight of the old value, 0 to 1.

    Returns:
        The new average; without an old value the new gradient.
    """
    if old is None:
        return dict(new)
    return {n: keep * old[n] + (1 - keep) * new[n] for n in new}


def rectified(g: Grads, anchor: Grads, most: float = 1.0) -> Grads:
    """g without the part that conflicts with an anchor, never longer than g (GRU, PCGrad).

    Where <g, a> < 0: g - (max(cos, -most) |g| / |a|) a, cos the cosine of the two, else g itself.
    With most = 1 the result is orthogonal to the anchor; below it a part of strong conflicts is
    left (the code's orthogonal_component_COSCLIP has 0.5), with 0 all of them.

    Args:
        g: A gradient.
        anchor: The gradient that must not be opposed.
        most: The largest cosine of a conflict that is removed.

    Returns:
        A new gradient, or g itself if the two do not conflict.
    """
    dot = inner(g, anchor)
    length = inner(anchor, anchor)
    if dot >= 0 or length == 0:
        return g
    # <g, a> at the cosine up to which a conflict is taken out
    least = -most * (length * inner(g, g)).sqrt()
    return added(g, anchor, -torch.maximum(dot, least) / length)


def agreeing(g: Grads, other: Grads) -> Grads:
    """The entries of g whose sign is that of another gradient; the rest is 0 (MUDMAN).

    Where ``other`` is exactly 0, so is the result.

    Args:
        g: A gradient.
        other: The gradient whose signs count.

    Returns:
        A new gradient.
    """
    return {n: torch.where(g[n].sign() == other[n].sign(), g[n], torch.zeros_like(g[n])) for n in g}


def swapped(weights: Grads, at: Grads | None, run: Callable[[], Any]) -> Any:
    """Run a function while the weights hold other values.

    Args:
        weights: The weights; afterwards they hold their own values again, bit by bit.
        at: The other values; None leaves the weights alone.
        run: What is run.

    Returns:
        What ``run`` returns.
    """
    if at is None:
        return run()
    own = {n: w.detach().clone() for n, w in weights.items()}
    try:
        with torch.no_grad():
            for n, w in weights.items():
                w.copy_(at[n])
        return run()
    finally:
        with torch.no_grad():
            for n, w in weights.items():
                w.copy_(own[n])
