"""What is kept of passes so that a second question makes only what is new: a Want in its parts, and
records of parts put together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from expunge.core.results import EMPTY, Record, Records
from expunge.evaluation.needs import observations
from expunge.evaluation.observations.base import Observation, Want, merged
from expunge.evaluation.observations.generation import Generation
from expunge.evaluation.observations.teacher_forced import TeacherForced
from expunge.scoring.prefixes import VARIANT as BEGUN

ANSWER, OTHERS = "answer", "variants"  # the parts of the teacher-forced pass


def parts_of(want: Want) -> Iterator[tuple[str, Want]]:
    """(name, the Want of it alone): the answers with what is generated, their other variants, and
    each observation.
    """
    asked = {observation.name: observation for observation in want.observations}
    forced, generation = asked.pop(TeacherForced.name, None), asked.pop(Generation.name, None)
    scored: tuple[str, ...] = forced.scored if isinstance(forced, TeacherForced) else ()
    answers: list[Observation] = [] if generation is None else [generation]
    if isinstance(forced, TeacherForced) and ANSWER in scored:
        answers = [replace(forced, scored=(ANSWER,)), *answers]
    if answers:
        yield ANSWER, replace(want, observations=merged(answers, ()))
    others = tuple(sorted(v for v in scored if v != ANSWER))
    if others:
        yield OTHERS, Want((TeacherForced(scored=others),))
    for name, observation in asked.items():
        tokens = want.tokens if observation.from_prompts else 0
        yield name, Want((observation,), tokens=tokens)


def covering(name: str, want: Want) -> list[Want]:
    """The Wants whose kept records serve: the part itself and, of answers, those that hold more."""
    if name != ANSWER:
        return [want]
    found = [want]
    for more in ((), (Generation(),)):
        for moments in (False, True):
            asked = merged(want.observations, (TeacherForced(moments=moments), *more))
            found.append(replace(want, observations=asked))
    return list(dict.fromkeys(found))


def cut_out(records: Records, role: str, name: str) -> Records:
    """What a part has among the records of a role."""
    found: list[Record] = []
    for record in records:
        if record.role == role:
            own = _own(record, name)
            found += [own] if own is not None else []
    return Records(found)


def _own(record: Record, name: str) -> Record | None:
    """What a record holds of a part; None if nothing."""
    if name == ANSWER:
        if record.variant.startswith(Generation.variants):
            return record
        return replace(record, observed=EMPTY) if record.variant == ANSWER else None
    if name == OTHERS:
        of_others = any(record.variant.startswith(cls.variants) for cls in observations().values())
        return None if of_others or record.variant == ANSWER else record
    return observations()[name].own(record)


def together(found: Mapping[tuple[str, str], Records]) -> Records:
    """(role, part) -> records, as one: roles in their order, rows of the answers with what the
    observations say of them.
    """
    rows: list[Record] = []
    for role in dict.fromkeys(role for role, _ in found):
        rows += _of_role({part: records for (own, part), records in found.items() if own == role})
    return Records(rows)


def _of_role(parts: Mapping[str, Records]) -> list[Record]:
    observed: dict[str, dict[str, Any]] = {}
    others: list[Record] = []
    for name in observations():
        for record in parts.get(name, ()):
            if record.variant == ANSWER:
                observed.setdefault(record.id, {}).update(record.observed)
            else:
                others.append(record)
    rows = [
        replace(r, observed=observed.get(r.id, EMPTY)) if r.variant == ANSWER else r
        for r in parts.get(ANSWER, ())
    ]
    known = {(r.variant, r.id) for r in rows}
    begun = [r for r in others if r.variant.startswith(BEGUN) and (r.variant, r.id) not in known]
    own = [r for r in others if not r.variant.startswith(BEGUN)]
    return [*rows, *begun, *parts.get(OTHERS, ()), *own]
