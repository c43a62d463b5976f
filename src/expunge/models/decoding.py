"""How the next token is chosen, and texts written by one model or by several that answer as one."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from random import Random

import torch
from torch import Tensor

from expunge.core.errors import Failed
from expunge.models.base import Sampling

Ids = list[int]
# Logits [B, V] of the next token and which prefixes they follow go out, the tokens chosen [B] come
# in; in the end the continuation of every prefix is returned.
Decoding = Generator[tuple[Tensor, list[int]], Tensor, list[Ids]]
Choose = Callable[[Tensor, list[int]], Tensor]


def most_likely(logits: Tensor, rows: list[int]) -> Tensor:
    """The token with the largest logit: [B, V] -> [B]."""
    return logits.argmax(-1)


def nucleus(p: Tensor, top_p: float) -> Tensor:
    """Probabilities [B, V] with all but the likeliest that together reach ``top_p`` set to 0; the
    token that reaches it stays.
    """
    ordered, at = p.sort(-1, descending=True)
    beyond = ordered.cumsum(-1) - ordered >= top_p
    return p.masked_fill(torch.zeros_like(beyond).scatter(-1, at, beyond), 0.0)


class Draws:
    """Tokens drawn from softmax(logits / temperature); prefix i draws from a generator of its own.

    Args:
        sampling: The seed of every prefix, temperature and nucleus.

    Attributes:
        logps: Of every prefix the log-probability, nats, of each token as it was drawn. A finished
            row is drawn on for a while, unread.
    """

    def __init__(self, sampling: Sampling) -> None:
        self.sampling = sampling
        self.generators = [Random(seed) for seed in sampling.seeds]
        self.logps: list[list[float]] = [[] for _ in sampling.seeds]

    def __call__(self, logits: Tensor, rows: list[int]) -> Tensor:
        p = torch.softmax(logits.double() / self.sampling.temperature, -1)
        if self.sampling.top_p < 1:
            p = nucleus(p, self.sampling.top_p)
        below = p.cumsum(-1)
        numbers = [[self.generators[i].random()] for i in rows]
        u = torch.tensor(numbers, dtype=below.dtype, device=below.device)
        found = torch.searchsorted(below, u * below[:, -1:], right=True)[:, 0]
        chosen = found.clamp(max=logits.shape[-1] - 1)
        said = (p.gather(-1, chosen[:, None])[:, 0] / below[:, -1]).log().tolist()
        for i, x in zip(rows, said, strict=True):
            self.logps[i].append(x)
        return chosen


def written(decoding: Decoding, choose: Choose) -> list[Ids]:
    """The continuations of a decoding whose tokens ``choose`` chooses."""
    try:
        logits, rows = next(decoding)
        while True:
            logits, rows = decoding.send(choose(logits, rows))
    except StopIteration as end:
        result: list[Ids] = end.value
        return result


def together(decodings: Sequence[Decoding], mean: Callable[[Sequence[Tensor]], Tensor]) -> Decoding:
    """Decodings of the same prefixes by several models as one, token by token.

    Args:
        decodings: One of each model; they meet the same rows in the same order, because they are
            told the same tokens.
        mean: What makes one distribution of theirs.
    """
    steps = [next(decoding, None) for decoding in decodings]
    result: list[Ids] = []
    while steps[0] is not None:
        given = [step for step in steps if step is not None]
        rows = given[0][1]
        if len(given) < len(steps) or any(step[1] != rows for step in given):
            raise Failed("the models of an ensemble came to different batches of the same prompts")
        chosen = yield mean([logits for logits, _ in given]), rows
        steps = []
        for decoding in decodings:
            try:
                steps.append(decoding.send(chosen))
            except StopIteration as end:
                steps.append(None)
                result = end.value
    return result
