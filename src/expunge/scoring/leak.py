"""Leak@k: how much the best of k sampled answers tells, estimated from n >= k samples."""

from __future__ import annotations

import numpy as np

from expunge.scoring.bounds import lowered_distribution


def best_of_weights(n: int, k: int) -> np.ndarray:
    """The probability that the i-th smallest of n values is the largest of k drawn from them.

    Without replacement: C(i - 1, k - 1) / C(n, k), i = 1 ... n.

    Args:
        n: How many values there are.
        k: How many are drawn, 1 to n.

    Returns:
        [n], which sums to 1.

    Raises:
        ValueError: k is not between 1 and n.

    >>> best_of_weights(4, 2) * 6
    array([0., 1., 2., 3.])
    """
    if not 1 <= k <= n:
        raise ValueError(f"the best of {k} cannot be estimated from {n} samples")
    weights = np.zeros(n)
    # ratios of neighbors instead of binomials, which overflow: w[i-1] = w[i] * (i-k+1) / i
    weights[n - 1] = k / n
    for i in range(n - 1, k - 1, -1):
        weights[i - 1] = weights[i] * (i - k + 1) / i
    return weights


def best_of(scores: np.ndarray, k: int) -> float:
    """The mean of the largest of k scores over all choices of k of the n samples.

    Without bias for E[max of k independent samples], whatever the distribution and n >= k; the
    largest of the first k, or 1 - (1 - share)^k, is noisier or biased. Of scores 0 and 1 with c
    ones it is 1 - C(n - c, k) / C(n, k), the chance that one of k samples leaks.

    Args:
        scores: One for each sample: [n].
        k: How many samples an adversary draws, 1 to n.

    Returns:
        The estimate.

    Raises:
        ValueError: k is not between 1 and n.

    >>> best_of(np.array([1.0, 0.0, 0.0, 0.0]), 2)
    0.5
    """
    ordered = np.sort(np.asarray(scores, dtype=np.float64))
    return float(best_of_weights(len(ordered), k) @ ordered)


def best_of_at_most(scores: np.ndarray, k: int, alpha: float = 0.01) -> float:
    """Upper bound on E[max of k independent samples] of a score in 0..1.

    It holds with probability 1 - alpha. With F the distribution of a score, E[max of k] = 1 - the
    integral of F^k; F is at least the lowered empirical distribution everywhere, see
    ``mean_at_most``, which is the case k = 1.

    Args:
        scores: One for each sample, in 0..1: [n]; n may be less than k.
        k: How many samples an adversary draws, at least 1.
        alpha: The probability with which the bound may fail, at most .5.

    Returns:
        The bound; 1 without any sample.

    Raises:
        ValueError: k is less than 1.
    """
    if k < 1:
        raise ValueError(f"an adversary draws at least one sample, not {k}")
    below, widths = lowered_distribution(scores, alpha)
    return float(1 - (below**k * widths).sum())
