"""Rows of plain text asked by their own beginning: the first tokens are the prompt, what the model
says is held against the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from expunge.core.data import Examples, Row
from expunge.core.results import Record, Records
from expunge.evaluation.observations.base import Read
from expunge.models.causal_lm.model import Subject
from expunge.scoring.prefixes import REPORTED, SHARES, VARIANT, prefix_of

PER_TOKEN = ("logp", "hit", "rank", "mean_logp", "var_logp", "entropy", "top")


def texts_among(rows: Iterable[Row], roles: Mapping[str, Examples]) -> set[tuple[str, str]]:
    """(role, id) of the rows that are plain texts, or pieces (``id#0`` ...) of one."""
    raw = {(role, e.id) for role, examples in roles.items() for e in examples if e.text is not None}
    return {
        (r.role, r.id)
        for r in rows
        if (r.role, r.id) in raw or (r.role, r.id.rpartition("#")[0]) in raw
    }


def given_of(row: Row, name: str = REPORTED) -> int:
    """How many scored tokens of a text are given: up to the first marked one where a place is
    marked, else a share; 0 = too short.

    A mark is the first sensitive span, and decides what is given for the reported numbers alone.
    """
    own = len(row.answer_ids) - row.eos
    if name == REPORTED and any(row.weights):
        before = next(i for i, w in enumerate(row.weights) if w) - row.n_prompt
        if 0 < before < own:
            return before
    return prefix_of(own, SHARES[name])


def begun(row: Row, name: str) -> Row | None:
    """The row with its first tokens as the prompt, variant ``begun/NAME``; None if it is too short."""
    k = given_of(row, name)
    if not k:
        return None
    n = row.n_prompt + k
    scored = tuple(s and i >= n for i, s in enumerate(row.scored))
    return replace(row, variant=VARIANT + name, scored=scored, n_prompt=n)


def begun_rows(rows: Iterable[Row]) -> Iterator[tuple[Row, Row]]:
    """(the text, the same begun) for every share that the text is long enough for."""
    for row in rows:
        for name in SHARES:
            made = begun(row, name)
            if made is not None:
                yield row, made


def read_behind(read: Read, row: Row) -> Read:
    """What the teacher-forced pass found of the whole text, without the tokens that ``row``, the same text begun, has in
    its prompt.
    """
    n = len(row.answer_ids)
    return replace(read, **{f: x[-n:] for f in PER_TOKEN if (x := getattr(read, f)) is not None})


def record_of(subject: Subject, row: Row, whole: Row, most: int, said: str | None) -> Record:
    """What a text that was begun should go on with (at most ``most`` tokens), and what the model
    said; texts, and no number of the teacher-forced pass.
    """
    ids = list(row.answer_ids)
    rest = ids[:-1] if row.eos else ids
    return Record(
        "",
        row.role,
        row.id,
        row.group,
        row.variant,
        prefix=len(whole.answer_ids) - len(ids),
        question=subject.decode(row.ids[: row.n_prompt]),
        answer=subject.decode(rest[:most]),
        generated=said,
    )


def lengths(records: Records) -> list[str]:
    """The shares at which texts were asked, the reported one first; [] if none was."""
    met = {r.variant.removeprefix(VARIANT) for r in records if r.variant.startswith(VARIANT)}
    return sorted(met & set(SHARES), key=lambda name: (name != REPORTED, SHARES[name]))


def as_asked(records: Records, name: str = REPORTED) -> Records:
    """The records as metrics of generated text read them: a text's answer is what stood behind the
    given tokens.

    Texts that are too short for it (``Record.prefix`` 0) are left out; rows that are no texts stay
    as they are.
    """
    asked = {(r.subject, r.role, r.id): r for r in records if r.variant == VARIANT + name}
    found: list[Record] = []
    for r in records:
        if r.variant.startswith(VARIANT):
            continue
        if r.prefix is None or r.variant != "answer":
            found.append(r)
        elif (b := asked.get((r.subject, r.role, r.id))) is not None:
            given = {**r.given, **b.given}
            found.append(
                replace(
                    r,
                    prefix=b.prefix,
                    question=b.question,
                    answer=b.answer,
                    generated=b.generated,
                    given=given,
                )
            )
    return Records(found)


def too_short(records: Records, role: str) -> int:
    """How many texts of a role could not be asked."""
    return sum(r.prefix == 0 for r in records.of(role))


def told(records: Sequence[Record]) -> str:
    """How the texts among a model's records were asked, in one line; '' if there are none."""
    texts = [r for r in records if r.variant == "answer" and r.prefix is not None]
    given = sorted(r.prefix for r in texts if r.prefix)
    if not texts:
        return ""
    span = f" ({given[0]} to {given[-1]} tokens)" if given else ""
    few = (
        f"; {len(texts) - len(given)} are too short and left out of what is said"
        if len(given) < len(texts)
        else ""
    )
    return (
        f"{len(texts)} plain texts, asked by the first half of each{span}, parts by a quarter "
        f"and three quarters{few}"
    )
