"""Sampling: texts that the model draws from the prompt of each row, and how likely each was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from expunge.core.data import Row
from expunge.core.progress import Tick
from expunge.core.results import EMPTY, Record
from expunge.evaluation.observations.base import Field, Inputs, Observation, Observed, References
from expunge.evaluation.observations.plain_text import record_of
from expunge.models.base import Sampling as Drawing
from expunge.models.causal_lm.model import Subject
from expunge.scoring.prefixes import REPORTED, VARIANT

BLOCK = 64  # prompts whose samples are in memory at a time


@dataclass(frozen=True)
class Sampling(Observation):
    """Texts drawn at a temperature from the likeliest tokens that have ``top_p`` together."""

    samples: int = 32
    temperature: float = 1.0
    top_p: float = 1.0
    seed: int = 0

    name: ClassVar = "sampling"
    title: ClassVar = "sampled answers"
    unit: ClassVar = "texts drawn"
    fields: ClassVar = {"samples": Field("text"), "sample_logp": Field()}
    needs: ClassVar = frozenset({"generate"})
    from_prompts: ClassVar = True

    def run(self, model: Subject, inputs: Inputs, references: References) -> Observed:
        """Draw ``samples`` texts behind every prompt."""
        drawn = samples(
            model,
            inputs.prompts,
            self.samples,
            [inputs.max_new_tokens] * len(inputs.prompts),
            temperature=self.temperature,
            top_p=self.top_p,
            seed=self.seed,
            tick=inputs.tick,
        )
        texts = [texts for texts, _ in drawn]
        logp = [logp for _, logp in drawn]
        fields: dict[str, Sequence[Any]] = {"samples": texts, "sample_logp": logp}
        records = _held_against(model, inputs)
        return Observed(fields, made=self.samples * len(drawn), records=records)

    @classmethod
    def own(cls, record: Record) -> Record | None:
        """Samples, and of a plain text what they are held against: what stood behind its beginning."""
        if record.variant == VARIANT + REPORTED:
            return replace(record, generated=None, given=EMPTY)
        return super().own(record)


def _held_against(model: Subject, inputs: Inputs) -> list[Record]:
    """What stood behind the beginnings of plain texts, which their samples are held against."""
    whole = {row.id: row for row in inputs.answers}
    found: list[Record] = []
    for row in inputs.prompts:
        if row.variant == VARIANT + REPORTED:
            found.append(record_of(model, row, whole[row.id], inputs.max_new_tokens, None))
    return found


def samples(
    subject: Subject,
    rows: Sequence[Row],
    n: int,
    most: Sequence[int],
    *,
    temperature: float,
    top_p: float,
    seed: int,
    tick: Tick,
) -> list[tuple[tuple[str, ...], np.ndarray]]:
    """n texts drawn from every row's prompt, each at most ``most[i]`` tokens, and the
    log-probability under which each was drawn: nats [n].

    Sample j of a row draws from a generator of its own, made of seed, role, id and j: other rows
    and other n leave it as it is.
    """
    eos = sorted(subject.eos_ids)
    found = []
    for first in range(0, len(rows), BLOCK):
        some = [
            (r, m)
            for r, m in zip(rows[first : first + BLOCK], most[first : first + BLOCK], strict=True)
            for _ in range(n)
        ]
        seeds = [f"{seed}/{r.role}/{r.id}/{i % n}" for i, (r, _) in enumerate(some)]
        logps: list[list[float]] = []
        prefixes = [r.ids[: r.n_prompt] for r, _ in some]
        drawing = Drawing(seeds, temperature=temperature, top_p=top_p)
        ids = subject.generate(
            prefixes, [m for _, m in some], sampling=drawing, ends=eos, logps=logps
        )
        texts = [subject.decode(x[:-1] if x and x[-1] in eos else x) for x in ids]
        sums = np.array([sum(x) for x in logps])
        found += [(tuple(texts[i : i + n]), sums[i : i + n]) for i in range(0, len(texts), n)]
        tick(len(some) // n)
    return found
