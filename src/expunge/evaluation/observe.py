"""The shared passes, each made once: S1 (teacher-forced), S2 (greedy text), S6 (options), and what only some metrics ask for.

Every metric reads their records.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from expunge.core.data import Examples, Row
from expunge.core.progress import Tick
from expunge.core.results import Record, Records
from expunge.data.options import with_options
from expunge.evaluation.observations.base import Cost as Cost
from expunge.evaluation.observations.base import Read as Read
from expunge.evaluation.observations.extra import asked_more, ticks_of
from expunge.evaluation.observations.few_shot_prefix import derived
from expunge.evaluation.observations.generation import write
from expunge.evaluation.observations.masked_neighbors import neighbour_rows
from expunge.evaluation.observations.multiple_choice import chosen
from expunge.evaluation.observations.plain_text import begun_rows, given_of, read_behind, record_of, texts_among
from expunge.evaluation.observations.teacher_forced import score
from expunge.evaluation.observations.want import Want as Want
from expunge.evaluation.records import counted, end_of_thinking, other_answers, record, shortened, spoken
from expunge.models.causal_lm.model import Subject
from expunge.models.causal_lm.option_rows import option_rows
from expunge.models.causal_lm.positions import check_places, room_for_texts
from expunge.models.causal_lm.tokenize import encode
from expunge.scoring.prefixes import REPORTED, SHARES, VARIANT


@dataclass(frozen=True)
class Measured:
    """Records of one subject, the token ids that belong in OUT/private, and what it cost."""

    records: Records
    ids: Mapping[tuple[str, str], Mapping[str, list[int]]]
    cost: Cost


def measure(
    subject: Subject,
    roles: Mapping[str, Examples],
    wants: Mapping[str, Want],
    *,
    name: str = "model",
    max_new_tokens: int = 200,
    max_length: int = 512,
    tick: Tick = lambda n: None,
) -> Measured:
    """Records of a subject on the evaluation roles: one S1 over every wanted variant, one S2 over the prompts that need it.

    Memory is bounded by the batch; ``tick(n)`` is told of every n rows done.
    """
    cost = Cost()
    rows = _rows(subject, roles, wants, max_length)
    for role, want in wants.items():
        if want.more.neighbours:
            near = neighbour_rows(subject, roles[role], want.more.neighbours, max_length, tick)
            if near:
                cost.more["rows with words replaced"] = cost.more.get("rows with words replaced", 0) + len(near)
            rows += near
    wide = lambda row: wants[row.role].moments and row.variant == "answer"
    reads = score(subject, rows, moments=wide, tick=tick, cost=cost)
    raw = texts_among(rows, roles)
    asked = [r for r in rows if r.variant == "answer" and wants[r.role].write and (r.role, r.id) not in raw]
    most = [wants[r.role].tokens or max_new_tokens for r in asked]
    written = write(subject, asked, [reads[_key(r)] for r in asked], most, tick, cost)
    texts = dict(zip(((r.role, r.id) for r in asked), written, strict=True))
    goes_on = _texts(
        subject, name, [r for r in rows if r.variant == "answer" and (r.role, r.id) in raw], reads, wants, max_new_tokens, tick, cost
    )
    short = {(r.role, r.id): shortened(subject, r, n) for r, n in zip(asked, most, strict=True) if wants[r.role].cut}
    questions = {(e.role, e.id): e for role in wants for e in roles[role] if e.prompt is not None}
    ends = {key: end_of_thinking(e) for key, e in questions.items()}
    decoded = {key: spoken(subject, ids, ends.get(key, "")) for key, ids in texts.items()}
    unfinished = {k: not (v and v[-1] in subject.eos_ids) for k, v in texts.items()}
    cost.written, cost.limited = len(texts), sum(unfinished.values())
    own, behind, others = _more(subject, rows, reads, roles, wants, max_new_tokens, max_length, tick, cost)
    rows += [r for r, _ in behind.values()]
    reads |= {_key(r): Read(logp) for r, logp in behind.values()}
    known: dict[tuple[str, str], dict[str, Any]] = {}
    asked_of = {k: {"question": e.prompt, "also": other_answers(e)} for k, e in questions.items()}
    given = {(r.role, r.id): {"prefix": given_of(r)} for r in rows if (r.role, r.id) in raw and r.variant == "answer"}
    for found in ({k: {"unfinished": x} for k, x in unfinished.items()}, asked_of, given, others):
        for key, fields in found.items():
            known.setdefault(key, {}).update(fields)
    scored = [r for r in rows if not r.variant.startswith(("letters/", "texts/"))]
    records = [record(name, r, reads[_key(r)], decoded, short, known) for r in scored]
    unread = [r for r in own if _key(r) not in reads and (r.role, r.id) in others]
    records += [Record(name, r.role, r.id, r.group, r.variant, **others[r.role, r.id]) for r in unread]
    records += goes_on
    asked_for = [(e, want.options == "all") for role, want in wants.items() if want.options for e in with_options(roles[role])]
    said: dict[tuple[str, str], dict[str, np.ndarray]] = {}
    for (role, id, variant), read in reads.items():
        said.setdefault((role, id), {})[variant] = read.logp
    records += [r for e, letters in asked_for for r in chosen(name, e, said[e.role, e.id].__getitem__, letters)]
    ids = {k: {"generated": v} for k, v in texts.items()}
    return Measured(Records(counted(subject, records)), ids, cost)


def _texts(
    subject: Subject,
    name: str,
    rows: Sequence[Row],
    reads: Mapping[tuple[str, str, str], Read],
    wants: Mapping[str, Want],
    max_new_tokens: int,
    tick: Tick,
    cost: Cost,
) -> list[Record]:
    """What a model says to the beginnings of plain texts, as many tokens as the text has left at most (S2 of rows without a prompt)."""
    pairs = [(whole, row) for whole, row in begun_rows(rows) if wants[row.role].write]
    room = [wants[row.role].tokens or max_new_tokens for _, row in pairs]
    most = [min(n, len(row.answer_ids)) for n, (_, row) in zip(room, pairs, strict=True)]
    behind = [read_behind(reads[_key(whole)], row) for whole, row in pairs]
    said = write(subject, [row for _, row in pairs], behind, most, tick, cost)
    found = [record_of(name, subject, row, whole, n, spoken(subject, ids)) for (whole, row), n, ids in zip(pairs, most, said, strict=True)]
    drawn = [r for r in rows if wants[r.role].more.sampling and not wants[r.role].write]  # samples are held against the rest, too
    for whole, row in begun_rows(drawn):
        if row.variant == VARIANT + REPORTED:
            found.append(record_of(name, subject, row, whole, wants[row.role].tokens or max_new_tokens, None))
    return found


def _rows(subject: Subject, roles: Mapping[str, Examples], wants: Mapping[str, Want], max_length: int) -> list[Row]:
    """What S1 scores: the wanted variants of every role, then the options of its questions."""
    rows: list[Row] = []
    for role, want in wants.items():
        most = room_for_texts(subject.model, max_length, roles[role])
        rows += encode(subject.tokenizer, derived(roles, role, want.scored), max_length=most, variants=want.scored)
    for role, want in wants.items():
        if want.options:
            rows += option_rows(subject.tokenizer, with_options(roles[role]), letters=want.options == "all", max_length=max_length)
    check_places(subject.model, rows)
    return rows


def _more(
    subject: Subject,
    rows: Sequence[Row],
    reads: Mapping[tuple[str, str, str], Read],
    roles: Mapping[str, Examples],
    wants: Mapping[str, Want],
    max_new_tokens: int,
    max_length: int,
    tick: Tick,
    cost: Cost,
) -> tuple[list[Row], dict[Any, Any], dict[tuple[str, str], dict[str, Any]]]:
    """The answers that only some roles are asked more about, and what ``asked_more`` finds of them. They need not be scored."""
    more = {role: want.more for role, want in wants.items() if want.more}
    own = [r for r in rows if r.role in more and r.variant == "answer"]
    own += [r for role in more if "answer" not in wants[role].scored for r in encode(subject.tokenizer, roles[role], max_length=max_length)]
    found = {(r.role, r.id): reads[_key(r)] for r in own if _key(r) in reads}
    hits = {key: (x.hit, x.top) for key, x in found.items() if x.hit is not None and x.top is not None}
    most = {role: wants[role].tokens or max_new_tokens for role in more}
    behind, others = asked_more(subject, own, hits, roles, more, most, max_length=max_length, tick=tick, count=cost.more)
    return own, behind, others


def _key(row: Row) -> tuple[str, str, str]:
    return (row.role, row.id, row.variant)


def work(roles: Mapping[str, Examples], wants: Mapping[str, Want]) -> int:
    """How many ticks ``measure`` will give: rows to score and prompts to answer."""
    total = 0
    for role, want in wants.items():
        total += ticks_of(want.more, len(roles[role]))
        for e in roles[role]:
            scored = sum(v in ("answer", "lower") or v in e.variants or any(k.startswith(v) for k in e.variants) for v in want.scored)
            wild = sum(len([k for k in e.variants if k.startswith(v)]) - 1 for v in want.scored if v.endswith("/"))
            total += scored + max(0, wild) + want.write * (1 if e.text is None else len(SHARES))
            total += len(e.options) * ({"": 0, "texts": 1, "all": 1 + len(e.options)}[want.options])
    return total
