"""Sampling: draw several answers and count the one that tells most; what the likeliest answer
leaves unsaid may stand among the others.
"""

from __future__ import annotations

from typing import Annotated

from annotated_types import Gt, Interval

from expunge.core.attack import Attack, Decoding
from expunge.core.card import Card

card = Card(
    paper="Scholten, Guennemann, Schwinn 2025",
    url="https://arxiv.org/abs/2410.03523",
    where="probabilistic evaluation; leak@k: the best of k answers",
    family=("decoding",),
    evidence="oracle",
    rights=("decoding",),
    defeats="likeliest_answer",
    strength=("samples", (1, 4, 16)),
    differs="the mean over all choices of k of the answers drawn, without bias, in place of the "
    "best of the first k; bounds from DKW hold for each row with probability .99, not for all rows "
    "together",
)


def sampling(
    samples: Annotated[int, Gt(0)] = 16,
    drawn: Annotated[int, Gt(0)] = 32,
    temperature: Annotated[float, Gt(0)] = 1.0,
    top_p: Annotated[float, Interval(gt=0, le=1)] = 1.0,
) -> Attack:
    """Draw answers in place of the likeliest one, and count of every row the best of them.

    samples: how many the adversary draws of each question.
    drawn: how many are drawn to estimate that, the same for every strength; at least samples.
    temperature: logits are divided by it.
    top_p: only the likeliest tokens that have so much probability together are drawn.
    """
    decode = Decoding(samples, max(samples, drawn), temperature, top_p)
    what = "one answer drawn" if samples == 1 else f"the best of {samples} answers drawn"
    said = f"in {what} at temperature {temperature:g}"
    return Attack("sampling", decode=decode, at=samples, axis="answers drawn", said=said)
