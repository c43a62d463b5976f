"""What the passes found of a row, as a Record."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

from expunge.core.data import Example, Row
from expunge.core.results import Record
from expunge.evaluation.observations.base import Read


def record(name: str, row: Row, read: Read, known: Mapping[str, Any]) -> Record:
    """The record of a scored row.

    Args:
        name: The subject.
        row: The row.
        read: What the teacher-forced pass read of it.
        known: Of an answer other fields of its record.
    """
    fields: dict[str, Any] = {"answer": row.text, **known} if row.variant == "answer" else {}
    return Record(
        subject=name,
        role=row.role,
        id=row.id,
        group=row.group,
        variant=row.variant,
        n_tokens=len(read.logp),
        eos=row.eos,
        logp=read.logp,
        hit=read.hit,
        rank=read.rank,
        mean_logp=read.mean_logp,
        var_logp=read.var_logp,
        entropy=read.entropy,
        chars=len(row.text),
        zlib=len(zlib.compress(row.text.encode())),
        **fields,
    )


def other_answers(example: Example) -> tuple[str, ...] | None:
    """The right answers of a question beside the first (variants ``also/0`` ...); None if there are
    none.
    """
    return (
        tuple(text for name, text in example.variants.items() if name.startswith("also/")) or None
    )
