"""What a model says when it is drawn from (S3), and how it goes on from inside an answer (for EL): token ids in, numbers out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from expunge.core.data import Row
from expunge.core.progress import Tick
from expunge.models.causal_lm.generate import greedy, sampled
from expunge.models.causal_lm.model import Subject
from expunge.scoring.overlap import overlap

BLOCK = 64  # prompts whose samples are in memory at a time


def samples(
    subject: Subject, rows: Sequence[Row], n: int, most: Sequence[int], *, temperature: float, top_p: float, seed: int, tick: Tick
) -> list[tuple[tuple[str, ...], np.ndarray]]:
    """n texts drawn from every row's prompt, each at most ``most[i]`` tokens, and the log-probability under which each was drawn: nats [n].

    Sample j of a row draws from a generator of its own, made of seed, role, id and j: other rows and other n leave it as it is.
    """
    eos = sorted(subject.eos_ids)
    found = []
    for first in range(0, len(rows), BLOCK):
        some = [(r, m) for r, m in zip(rows[first : first + BLOCK], most[first : first + BLOCK], strict=True) for _ in range(n)]
        seeds = [f"{seed}/{r.role}/{r.id}/{i % n}" for i, (r, _) in enumerate(some)]
        logps: list[list[float]] = []
        prefixes = [r.ids[: r.n_prompt] for r, _ in some]
        ids = sampled(
            subject.model,
            prefixes,
            [m for _, m in some],
            eos,
            seeds,
            temperature=temperature,
            top_p=top_p,
            logps=logps,
            tick=lambda n: None,
        )
        texts = [subject.tokenizer.decode(x[:-1] if x and x[-1] in subject.eos_ids else x, skip_special_tokens=True) for x in ids]
        sums = np.array([sum(x) for x in logps])
        found += [(tuple(texts[i : i + n]), sums[i : i + n]) for i in range(0, len(texts), n)]
        tick(len(some) // n)
    return found


def cuts_of(row: Row, n: int, stride: int) -> list[int]:
    """Where prefixes of a row end: where scoring begins and every ``stride`` tokens behind, at last n tokens before the end."""
    end = len(row) - row.eos
    return list(range(row.n_prompt, end - n + 1, stride))


def overlaps(
    subject: Subject, rows: Sequence[Row], hits: Sequence[np.ndarray], tops: Sequence[np.ndarray], *, n: int, stride: int, tick: Tick
) -> tuple[list[np.ndarray], int]:
    """Of each row the n-gram overlap of its greedy continuation from every prefix with the true rest: [cuts]; and the generations needed.

    Up to the first miss behind the prefix S1's hits say what is written; from an all-hit rest nothing is generated at all.
    """
    found, generations = [], 0
    for first in range(0, len(rows), BLOCK):
        block = list(zip(rows, hits, tops, strict=True))[first : first + BLOCK]
        asks = [(i, cut, _sure(row, hit, top, cut)) for i, (row, hit, top) in enumerate(block) for cut in cuts_of(row, n, stride)]
        ends = [len(row) - row.eos for row, _, _ in block]
        budgets = [ends[i] - cut - len(sure) for i, cut, sure in asks]
        said = greedy(subject.model, [[*block[i][0].ids[:cut], *sure] for i, cut, sure in asks], budgets, (), tick=lambda n: None)
        generations += sum(b > 0 for b in budgets)
        shares: list[list[float]] = [[] for _ in block]
        for (i, cut, sure), rest in zip(asks, said, strict=True):
            shares[i].append(overlap([*sure, *rest], block[i][0].ids[cut : ends[i]], n))
        found += [np.array(x) for x in shares]
        tick(len(block))
    return found, generations


def _sure(row: Row, hit: np.ndarray, top: np.ndarray, cut: int) -> list[int]:
    """What the model writes behind ``cut`` as far as the teacher-forced pass tells: up to its first miss and with it."""
    first, end = len(row) - len(hit), len(row) - row.eos
    own = hit[cut - first : end - first]
    miss = int(np.argmin(own)) if not own.all() else len(own)
    return [*row.ids[cut : cut + miss], *([int(top[cut - first + miss])] if miss < len(own) else [])]
