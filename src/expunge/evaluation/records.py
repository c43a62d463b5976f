"""What the passes found of a row, as a Record."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from expunge.core.data import Example, Row
from expunge.core.results import Record
from expunge.data.columns import AFTER
from expunge.evaluation.observations.base import Read
from expunge.models.causal_lm.model import Subject
from expunge.scoring.per_row import beyond
from expunge.scoring.text import repeated_tokens

Key = tuple[str, str]  # (role, id)


def record(
    name: str,
    row: Row,
    read: Read,
    decoded: Mapping[Key, str],
    short: Mapping[Key, str],
    known: Mapping[Key, Any],
) -> Record:
    """The record of a scored row.

    ``name``: the subject. An answer has also its text, cut if it stands in ``short``, what was
    generated (``decoded``) and the fields in ``known``.
    """
    text = row.text.encode()
    own = (row.role, row.id) if row.variant == "answer" else ("", "")
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
        zlib=len(zlib.compress(text)),
        answer=short.get(own, row.text) if row.variant == "answer" else None,
        generated=decoded.get(own),
        **known.get(own, {}),
    )


def spoken(subject: Subject, ids: list[int], end: str = "") -> str:
    """Generated tokens as text, without the end token; what is written behind the last ``end``, if
    that comes.
    """
    bare = ids[:-1] if ids and ids[-1] in subject.eos_ids else ids
    return beyond(subject.decode(bare), end)


def counted(subject: Subject, records: Iterable[Record]) -> list[Record]:
    """The records, those with a written text with its repeated tokens (``given``), the text read by
    the model's own tokenizer.
    """
    rows = list(records)
    texts = list(dict.fromkeys(r.generated.strip() for r in rows if r.generated is not None))
    read = subject.ids_with_controls(texts)
    found = {text: repeated_tokens(ids) for text, ids in zip(texts, read, strict=True)}
    none: dict[str, float] = {}
    extra = [none if r.generated is None else found[r.generated.strip()] for r in rows]
    return [
        replace(r, given={**r.given, **own}) if own else r
        for r, own in zip(rows, extra, strict=True)
    ]


def end_of_thinking(example: Example) -> str:
    """The words behind which the example's answer begins, "" if its tags name none."""
    return next((t.removeprefix(AFTER) for t in example.tags if t.startswith(AFTER)), "")


def shortened(subject: Subject, row: Row, n: int) -> str:
    """The first n tokens of the row's answer as text; the text itself if it has no more.

    They are counted as the official code of MUSE and DUSK counts: the answer by itself, the start
    token (bos) among the n if the tokenizer writes one. So 128 tokens of Llama are 127 of the text.
    """
    return subject.shortened(row.text, n)


def other_answers(example: Example) -> tuple[str, ...] | None:
    """The right answers of a question beside the first (variants ``also/0`` ...); None if there are
    none.
    """
    return (
        tuple(text for name, text in example.variants.items() if name.startswith("also/")) or None
    )
