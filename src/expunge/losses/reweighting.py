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

    Args:
        x: A tensor.

    Returns:
        The tensor, detached.
    """
    return x.detach()


def fixed(x: Tensor) -> Tensor:
    """A weight or target that moves with the model, without gradient through it.

    Args:
        x: A tensor.

    Returns:
        The tensor, detached.
    """
    return detached(x)


def ascent_values(p: LossInputs, weight: Tensor, reduction: Reduction) -> Tensor:
    """-sg(w) NLL of each row.

    Args:
        p: The scored tokens of a batch, with ``logp``.
        weight: Weights w, [B, T], or [B, 1] for one per answer.
        reduction: The reduction of the term.

    Returns:
        One value per row, [B], in nats.
    """
    assert p.logp is not None
    return reduce_tokens(fixed(weight) * p.logp, p.mask, reduction)


def power(logp: Tensor, beta1: float, beta2: float = 0.0) -> Tensor:
    """p^beta1 (1 - p)^beta2 of log-probabilities, elementwise.

    Args:
        logp: Log-probabilities.
        beta1: The exponent of p.
        beta2: The exponent of 1 - p.

    Returns:
        Weights from 0 to 1; (0, 0) gives 1.
    """
    return (beta1 * logp).exp() * (-torch.expm1(logp)).pow(beta2)


def balance(logp: Tensor, start_logp: Tensor, beta: float, epsilon: float = 0.0) -> Tensor:
    """p^beta / (p^beta + p_start^beta + epsilon) of log-probabilities, elementwise.

    Args:
        logp: Log-probabilities of the model.
        start_logp: Log-probabilities of the start model.
        beta: The exponent.
        epsilon: What is added below the line.

    Returns:
        Weights from 0 to 1; 1/2 at the start model without epsilon.
    """
    extra = torch.full_like(start_logp, epsilon).log()
    return torch.sigmoid(beta * logp - torch.logaddexp(beta * start_logp, extra))
