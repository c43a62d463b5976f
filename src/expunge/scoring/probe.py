"""A linear probe: logistic regression on standardised states, classes weighted alike."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit


def fit(x: np.ndarray, y: np.ndarray, c: float = 1.0) -> tuple[np.ndarray, float]:
    """Weights [D] and offset that minimise |w|^2 / 2 + c sum_i k_i log(1 + exp(-s_i (w x_i + b))),
    s_i = 1 where ``y`` else -1.

    x [n, D], y [n] of bool; k_i weights both classes alike (n / (2 n_class)). The offset is not
    penalised.
    """
    s, k = np.where(y, 1.0, -1.0), len(y) / (2 * np.where(y, y.sum(), (~y).sum()))

    def loss(v: np.ndarray) -> tuple[float, np.ndarray]:
        z = s * (x @ v[:-1] + v[-1])
        pull = -c * k * s * expit(-z)
        return float(v[:-1] @ v[:-1] / 2 + c * k @ np.logaddexp(0, -z)), np.append(
            v[:-1] + pull @ x, pull.sum()
        )

    found = minimize(
        loss,
        np.zeros(x.shape[1] + 1),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 2000, "gtol": 1e-7, "ftol": 1e-14},
    ).x
    return found[:-1], float(found[-1])


def probed(x: np.ndarray, y: np.ndarray, train: np.ndarray, c: float = 1.0) -> np.ndarray:
    """Scores [n] of a probe that was fitted on the rows ``train`` (bool [n]), standardised by those
    rows; larger = rather ``y``.
    """
    mean, spread = x[train].mean(0), x[train].std(0)
    z = (x - mean) / np.where(spread > 0, spread, 1.0)
    w, b = fit(z[train], y[train], c)
    return z @ w + b
