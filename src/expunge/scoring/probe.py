"""A linear probe: logistic regression on standardized states, classes weighted alike."""

from __future__ import annotations

import numpy as np


def probed(x: np.ndarray, y: np.ndarray, train: np.ndarray, c: float = 1.0) -> np.ndarray:
    """Scores of a linear probe that was fitted on some of the rows.

    scikit-learn's logistic regression with an L2 penalty: it minimizes
    |w|^2 / 2 + c sum_i k_i log(1 + exp(-s_i (w x_i + b))), with s_i = 1 where ``y`` and else -1.
    The weights k_i = n / (2 n_class) make both classes count alike; the offset b has no penalty.

    Args:
        x: States of the rows, [n, D].
        y: The class of each row, bool [n].
        train: The rows that fit and standardize, bool [n].
        c: The inverse strength of the penalty.

    Returns:
        The decision value of every row, [n]; larger means more likely ``y``.
    """
    # here and not at the top: only the metrics that fit a probe pay for the import
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    states = np.asarray(x, dtype=np.float64)
    classifier = LogisticRegression(C=c, class_weight="balanced", tol=1e-7, max_iter=10_000)
    probe = make_pipeline(StandardScaler(), classifier)
    probe.fit(states[train], y[train])
    return probe.decision_function(states)
