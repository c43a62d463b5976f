"""Likelihood links: every loss on the labels' log-likelihood is gradient ascent with a weight,
-dPhi/dNLL.

A link Phi is a function of a row's label log-probabilities whose gradient is that of ``-w NLL``; w
is what tells methods apart. Where a paper states w itself, the loss is ``ascent_values`` with one
of the weights below, held fixed.
"""

from __future__ import annotations

import torch
from torch import Tensor

from expunge.core.stages import Reduction
from expunge.losses.inputs import LossInputs, reduce_tokens


def detached(x: Tensor) -> Tensor:
    """The values without their gradient.

    ``fixed`` looks it up here, so that a test can hold weights still.
    """
    return x.detach()


def fixed(x: Tensor) -> Tensor:
    """A weight or target: it moves with the model, and no gradient flows through it."""
    return detached(x)


def ascent_values(p: LossInputs, weight: Tensor, reduction: Reduction) -> Tensor:
    """-sg(w) NLL of each row: weights [B, T] (or [B, 1], one per answer) -> [B], nats."""
    assert p.logp is not None
    return reduce_tokens(fixed(weight) * p.logp, p.mask, reduction)


def power(logp: Tensor, beta1: float, beta2: float = 0.0) -> Tensor:
    """p^beta1 (1 - p)^beta2 of log-probabilities, elementwise, 0 to 1; (0, 0) is 1."""
    return (beta1 * logp).exp() * (-torch.expm1(logp)).pow(beta2)


def balance(logp: Tensor, start_logp: Tensor, beta: float, epsilon: float = 0.0) -> Tensor:
    """p^beta / (p^beta + p_start^beta + epsilon) of log-probabilities, elementwise, 0 to 1; without
    epsilon 1/2 at the start.
    """
    extra = torch.full_like(start_logp, epsilon).log()
    return torch.sigmoid(beta * logp - torch.logaddexp(beta * start_logp, extra))
