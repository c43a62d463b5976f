"""S2: the greedy answer to every prompt, begun where S1 first misses.

As long as the teacher-forced token is the arg-max, greedy decoding gives that very token.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from expunge.core.data import Row
from expunge.core.progress import Tick
from expunge.evaluation.observations.base import Cost, Read
from expunge.models.causal_lm.model import Subject


def write(
    subject: Subject,
    rows: Sequence[Row],
    reads: Sequence[Read],
    most: Sequence[int],
    tick: Tick,
    cost: Cost,
) -> list[list[int]]:
    """S2: the greedy answer to every row's prompt, ``most[i]`` token ids; what S1's hits decide is
    not generated again.
    """
    eos = set(subject.eos_ids)
    known: list[list[int]] = []
    budgets = []
    for row, read, room in zip(rows, reads, most, strict=True):
        assert read.hit is not None and read.top is not None
        ids = row.answer_ids
        miss = int(np.argmin(read.hit)) if not read.hit.all() else len(ids)
        sure = [*ids[:miss], *([int(read.top[miss])] if miss < len(ids) else [])][:room]
        ended = bool(sure) and sure[-1] in eos
        known.append(sure)
        budgets.append(0 if ended else room - len(sure))
    prefixes = [[*row.ids[: row.n_prompt], *sure] for row, sure in zip(rows, known, strict=True)]
    rest = subject.generate(prefixes, budgets, ends=sorted(eos), tick=tick)
    tick(sum(b == 0 for b in budgets))
    cost.spared += sum(map(len, known))
    cost.generated += sum(map(len, rest))
    return [a + b for a, b in zip(known, rest, strict=True)]
