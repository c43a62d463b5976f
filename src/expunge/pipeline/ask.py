"""Asking a model, or two side by side: the greedy answer, samples beside it, and how likely a given
answer is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from expunge.core.data import Example
from expunge.core.errors import Refused
from expunge.core.requests import AskRequest
from expunge.data.columns import BARE, LITERAL
from expunge.data.kinds import COMPLETIONS, TEXTS
from expunge.evaluation.observations.teacher_forced import log_probabilities
from expunge.models.base import Model, Sampling
from expunge.models.causal_lm.model import UNBOUNDED, Subject
from expunge.pipeline.guarded import served
from expunge.runs.folder import read_run


@dataclass(frozen=True)
class Chance:
    """How likely a model is to answer just so: ``logp`` of all its ``tokens`` together, nats; the
    end of the text is not counted.
    """

    logp: float
    tokens: int

    @property
    def per_token(self) -> float:
        """The geometric mean of the tokens' probabilities, 0..1."""
        return float(np.exp(self.logp / self.tokens))


@dataclass(frozen=True)
class Answered:
    """What one model said.

    ``how``: why it was asked in plain text though nobody said --raw; '' else.
    """

    source: str
    text: str
    samples: tuple[str, ...] = ()
    chance: Chance | None = None
    how: str = ""


def ask(request: AskRequest) -> list[Answered]:
    """The answers of ``against``, if it is given, and of ``model``, one after the other."""
    sources = dict.fromkeys(filter(None, (request.against, request.model)))
    return [_answered(request, source) for source in sources]


def _answered(request: AskRequest, source: str) -> Answered:
    subject = served(request, source)
    tags, how = _tags(request.raw, source)
    question = Example("question", "question", "question", prompt=request.question, tags=tags)
    prompt = subject.prompt_of(question)
    ids = subject.generate([prompt], [request.max_new_tokens])[0]
    seeds = [f"ask/{i}" for i in range(request.samples)]
    budgets = [request.max_new_tokens] * len(seeds)
    draws = subject.generate([prompt] * len(seeds), budgets, sampling=Sampling(seeds))
    said = tuple(_text(subject, x) for x in draws)
    return Answered(
        source,
        _text(subject, ids),
        said,
        _chance(subject, question, request.answer) if request.answer else None,
        how,
    )


def _text(subject: Model, ids: list[int]) -> str:
    return subject.decode(ids).strip()


def _tags(raw: bool | None, source: str) -> tuple[tuple[str, ...], str]:
    """How the model is asked: as it was trained, unless the user says it."""
    if raw is not None:
        return ((LITERAL, BARE) if raw else ()), ""
    kind = trained_on(source)
    if kind == TEXTS:
        return (
            (
                LITERAL,
                BARE,
            ),
            f"{source} was trained on plain texts: the question begins one (--no-raw asks it as a "
            f"question)",
        )
    return ((LITERAL,) if kind == COMPLETIONS else ()), ""


def trained_on(source: str) -> str:
    """The kind of the rows that a model was trained on, or that it was to forget, as its run.yaml
    says; '' if that is not known.
    """
    place = next(
        (p for p in (Path(source), Path(source).parent) if (p / "run.yaml").is_file()), None
    )
    data: Any = read_run(place).get("data") if place else None
    rows = (
        next((data[role] for role in ("train", "forget") if role in data), None)
        if isinstance(data, Mapping)
        else None
    )
    return str(rows.get("kind", "")) if isinstance(rows, Mapping) else ""


def _chance(subject: Subject, question: Example, answer: str) -> Chance:
    """Of an answer behind the question.

    In plain text it goes on behind a space, unless one is there or it begins with a mark.
    """
    bare = (
        LITERAL in question.tags
        and not (question.prompt or " ")[-1].isspace()
        and answer[:1].isalnum()
    )
    asked = Example(
        "answer",
        "answer",
        "answer",
        f" {answer}" if bare else answer,
        question.prompt,
        tags=question.tags,
    )
    row = subject.encode([asked], max_length=UNBOUNDED)[0]
    logp = log_probabilities(subject, [row])[0]
    own = logp[:-1] if row.eos else logp
    if not len(own):
        raise Refused("--answer: an answer of no token; write one")
    return Chance(float(np.sum(own, dtype=np.float64)), len(own))
