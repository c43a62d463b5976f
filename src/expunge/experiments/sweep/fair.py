"""What makes two methods comparable: the same utility, found by mixing weights; the same number of
optimizer steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from expunge.core.data import Row
from expunge.core.stages import Descent, Method, Stage, stages
from expunge.training.sampler import Training, plan
from expunge.training.stages import steps_of, training_of

ROUNDS = 7  # of bisection: the share is known to 1/128


def smallest_share(kept: Callable[[float], float], level: float, rounds: int = ROUNDS) -> float:
    """The smallest share u of the original with ``kept(u) >= level``, to within 2^-rounds and never
    on the wrong side of it.

    ``kept(u)``: utility of u * original + (1 - u) * unlearned, taken to rise with u. 0 if the
    unlearned model keeps enough by itself; 1 if nothing less than the original does (UWC: mix until
    utility is back, then compare what is forgotten; Wang et al. 2024).

    >>> smallest_share(lambda u: u, 0.25)
    0.25
    """
    if at_least(kept(0.0), level):
        return 0.0
    low, high = 0.0, 1.0
    for _ in range(rounds):
        middle = (low + high) / 2
        low, high = (low, middle) if at_least(kept(middle), level) else (middle, high)
    return high


def at_least(value: float, level: float) -> bool:
    """Whether a utility reaches a level; one that is no number does not."""
    return math.isfinite(value) and value >= level


def steps_for(
    method: Method | Stage, streams: Mapping[str, Sequence[Row]], training: Training, budget: int
) -> Training:
    """The settings whose stages take ``budget`` optimizer steps together.

    Where the stages do not allow exactly that: as many as possible below it. Stages with steps of
    their own keep them. A method without a descent stays as it is.
    """
    if not any(isinstance(s, Descent) for s in stages(method)):
        return training

    def total(steps: int) -> int:
        return steps_of(method, streams, replace(training, steps=steps))

    if total(1) >= budget:
        return replace(training, steps=1)
    low, high = 1, budget
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if total(middle) <= budget else (low, middle - 1)
    return replace(training, steps=low)


def tokens_of(
    method: Method | Stage, streams: Mapping[str, Sequence[Row]], training: Training
) -> int:
    """Tokens that go forward and backward through the model in training; teachers and second passes
    are not among them.
    """
    descents = [s for s in stages(method) if isinstance(s, Descent)]
    units = (
        unit
        for d in descents
        for step in plan(d, streams, training_of(d, training))
        for unit in step
    )
    return sum(len(row) for unit in units for row in unit.values())
