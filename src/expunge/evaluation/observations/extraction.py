"""Extraction: how the model goes on greedily from every place inside an answer, held against the
true rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from expunge.core.data import Row
from expunge.core.progress import Tick
from expunge.evaluation.observations.base import Field, Inputs, Observation, Observed, References
from expunge.models.causal_lm.model import Subject
from expunge.scoring.overlap import overlap

BLOCK = 64  # rows whose continuations are in memory at a time


@dataclass(frozen=True)
class Extraction(Observation):
    """Continuations from every ``stride``-th place of an answer, compared by their ``n``-grams."""

    n: int = 10
    stride: int = 1

    name: ClassVar = "extraction"
    title: ClassVar = "continuations from inside the answers"
    unit: ClassVar = "continuations"
    fields: ClassVar = {"overlap": Field()}
    needs: ClassVar = frozenset({"score", "generate"})
    reads_scores: ClassVar = True

    def run(self, model: Subject, inputs: Inputs, references: References) -> Observed:
        """The overlap of each continuation with the true rest: [cuts] of each row."""
        hits: list[np.ndarray] = []
        tops: list[np.ndarray] = []
        for row in inputs.answers:
            read = inputs.reads[row.role, row.id, row.variant]
            assert read.hit is not None and read.top is not None
            hits.append(read.hit)
            tops.append(read.top)
        shares, made = overlaps(
            model, inputs.answers, hits, tops, n=self.n, stride=self.stride, tick=inputs.tick
        )
        return Observed({"overlap": shares}, made=made)


def cuts_of(row: Row, n: int, stride: int) -> list[int]:
    """Where prefixes of a row end: where scoring begins and every ``stride`` tokens behind, at last
    n tokens before the end.
    """
    end = len(row) - row.eos
    return list(range(row.n_prompt, end - n + 1, stride))


def overlaps(
    subject: Subject,
    rows: Sequence[Row],
    hits: Sequence[np.ndarray],
    tops: Sequence[np.ndarray],
    *,
    n: int,
    stride: int,
    tick: Tick,
) -> tuple[list[np.ndarray], int]:
    """Of each row the n-gram overlap of its greedy continuation from every prefix with the true
    rest: [cuts]; and the generations needed.

    Up to the first miss behind the prefix the hits say what is written; from an all-hit rest
    nothing is generated at all.
    """
    found, generations = [], 0
    goes_on = "continue" in subject.capabilities
    for first in range(0, len(rows), BLOCK):
        block = list(zip(rows, hits, tops, strict=True))[first : first + BLOCK]
        asks = [
            (i, cut, _sure(row, hit, top, cut) if goes_on else [])
            for i, (row, hit, top) in enumerate(block)
            for cut in cuts_of(row, n, stride)
        ]
        ends = [len(row) - row.eos for row, _, _ in block]
        budgets = [ends[i] - cut - len(sure) for i, cut, sure in asks]
        said = subject.generate(
            [[*block[i][0].ids[:cut], *sure] for i, cut, sure in asks],
            budgets,
            ends=(),
        )
        generations += sum(b > 0 for b in budgets)
        shares: list[list[float]] = [[] for _ in block]
        for (i, cut, sure), rest in zip(asks, said, strict=True):
            shares[i].append(overlap([*sure, *rest], block[i][0].ids[cut : ends[i]], n))
        found += [np.array(x) for x in shares]
        tick(len(block))
    return found, generations


def _sure(row: Row, hit: np.ndarray, top: np.ndarray, cut: int) -> list[int]:
    """What the model writes behind ``cut`` as far as the teacher-forced pass tells: up to its first
    miss and with it.
    """
    first, end = len(row) - len(hit), len(row) - row.eos
    own = hit[cut - first : end - first]
    miss = int(np.argmin(own)) if not own.all() else len(own)
    return [
        *row.ids[cut : cut + miss],
        *([int(top[cut - first + miss])] if miss < len(own) else []),
    ]
