"""S6: what a model thinks of the options of a question, as records."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from expunge.core.data import Example
from expunge.core.results import Record
from expunge.data.options import right_of, shown


def chosen(name: str, e: Example, logp: Callable[[str], np.ndarray], letters: bool) -> list[Record]:
    """The records of a question with options: the letters at every turn if they are asked for, and
    the texts.

    ``logp(variant)``: the log-probabilities of the tokens of ``letters/TURN/PLACE`` or
    ``texts/OPTION``, nats. ``name``: the subject.
    """
    n, right = len(e.options), right_of(e)
    total = lambda variant: float(np.sum(logp(variant), dtype=np.float64))
    known: dict[str, Any] = {"subject": name, "role": e.role, "id": e.id, "group": e.group}
    found = []
    for turn in range(n if letters else 0):
        said = np.array([total(f"letters/{turn}/{i}") for i in range(n)])
        found.append(
            Record(
                **known,
                variant=f"letters/{turn}",
                options=said,
                right=shown(e.options, turn).index(right),
            )
        )
    sums = np.array([total(f"texts/{i}") for i in range(n)])
    tokens = np.array([len(logp(f"texts/{i}")) for i in range(n)])
    return [
        *found,
        Record(**known, variant="texts", options=sums, option_tokens=tokens, right=right),
    ]
