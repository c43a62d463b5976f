"""What n samples allow to say at most: upper bounds that hold with probability 1 - alpha, whatever
the distribution.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import beta


def rate_at_most(k: int, n: int, alpha: float = 0.01) -> float:
    """Clopper and Pearson's upper bound on a probability.

    Args:
        k: How many trials came true.
        n: How many independent trials there were.
        alpha: The probability with which the bound may fail.

    Returns:
        The bound; 1 without any trial.

    >>> round(rate_at_most(0, 100, 0.05), 4)
    0.0295
    """
    if k >= n:
        return 1.0
    return float(beta.ppf(1 - alpha, k + 1, n - k))


def lowered_distribution(x: np.ndarray, alpha: float = 0.01) -> tuple[np.ndarray, np.ndarray]:
    """A distribution function that lies nowhere above that of a variable in 0..1.

    It holds with probability 1 - alpha. Dvoretzky, Kiefer, Wolfowitz with Massart's constant,
    one-sided: F >= F_n - sqrt(ln(1/alpha) / 2n) everywhere.

    Args:
        x: Samples of the variable, [n].
        alpha: The probability of failing, at most .5.

    Returns:
        Its value between the i-th smallest sample and the next (1 after the last), and how far
        those are apart; [n] each.
    """
    n = len(x)
    eps = np.sqrt(np.log(1 / alpha) / (2 * max(1, n)))
    edges = np.concatenate([np.sort(np.asarray(x, dtype=np.float64)), [1.0]])
    below = np.arange(1, n + 1) / max(1, n)
    return np.maximum(below - eps, 0), np.diff(edges)


def mean_at_most(x: np.ndarray, alpha: float = 0.01) -> float:
    """Upper bound on the mean of a variable in 0..1.

    Args:
        x: Samples of the variable, [n].
        alpha: The probability with which the bound may fail.

    Returns:
        1 minus the area under the lowered empirical distribution; 1 without any sample.
    """
    below, widths = lowered_distribution(x, alpha)
    return float(1 - (below * widths).sum())


def deviation_at_most(x: np.ndarray, alpha: float = 0.01) -> float:
    """Upper bound on the standard deviation of a variable in 0..1.

    Args:
        x: Samples of the variable, [n].
        alpha: The probability with which the bound may fail.

    Returns:
        The bound, made of the second moment's upper and the mean's lower bound.
    """
    x = np.asarray(x, dtype=np.float64)
    lowest = 1 - mean_at_most(1 - x, alpha / 2)
    return float(np.sqrt(min(0.25, max(0.0, mean_at_most(x**2, alpha / 2) - lowest**2))))
