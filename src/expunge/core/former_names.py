"""Names of earlier versions, in options and in files, and what they are called now."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

# options and their values
OPTIONS: Mapping[str, str] = {
    "optimiser": "optimizer",
    "regularisation": "regularization",
    "neighbours": "neighbors",
    "memorisation": "memorization",
}
# metrics in measurements and records; their cards hold the same names
METRICS: Mapping[str, str] = {
    "exact_memorisation": "exact_memorization",
    "memorisation_accuracy": "memorization_accuracy",
    "mia_neighbourhood": "mia_neighborhood",
}


def current_option(name: str, known: Container[str]) -> str:
    """What ``known`` calls an option or a value that may have its former name."""
    renamed = OPTIONS.get(name, name)
    return renamed if name not in known and renamed in known else name


def current_options(values: Mapping[str, Any], known: Container[str]) -> dict[str, Any]:
    """Values by option, every option as ``known`` calls it."""
    return {current_option(name, known): value for name, value in values.items()}


def current_key(key: str) -> str:
    """The key of a measurement, ``role/metric`` or ``metric``, with the metric's present name."""
    role, slash, metric = key.rpartition("/")
    return f"{role}{slash}{METRICS.get(metric, metric)}"
