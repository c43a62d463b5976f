"""What is kept of passes so that a second question makes only what is new: a Want in its parts, and
records of parts put together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from expunge.core.results import EMPTY, Record, Records
from expunge.evaluation.needs import observations
from expunge.evaluation.observations.base import Want
from expunge.scoring.prefixes import VARIANT as BEGUN

OPTIONS = ("letters/", "texts")  # variants of questions with options


def parts_of(want: Want) -> Iterator[tuple[str, Want]]:
    """(name, the Want of it alone): the answers, their other variants, the options, and each
    observation.
    """
    if "answer" in want.variants:
        yield "answer", replace(want, variants=("answer",), options="", observations=())
    others = tuple(sorted(v for v in want.variants if v != "answer"))
    if others:
        yield "variants", Want(others)
    if want.options:
        yield "options", Want((), options=want.options)
    for observation in want.observations:
        tokens = want.tokens if observation.from_prompts else 0
        yield observation.name, Want((), tokens=tokens, observations=(observation,))


def covering(name: str, want: Want) -> list[Want]:
    """The Wants whose kept records serve: the part itself and, of answers, those that hold more."""
    if name != "answer":
        return [want]
    found: list[Want] = []
    for write in (want.write, True):
        found += [replace(want, write=write, moments=moments) for moments in (want.moments, True)]
    return list(dict.fromkeys(found))


def cut_out(records: Records, role: str, name: str) -> Records:
    """What a part has among the records of a role."""
    observation = observations().get(name)
    found: list[Record] = []
    for record in records:
        if record.role == role:
            own = observation.own(record) if observation else _own(record, name)
            found += [own] if own is not None else []
    return Records(found)


def _own(record: Record, name: str) -> Record | None:
    """What a record holds of one of the shared passes."""
    if record.variant == "answer":
        return replace(record, observed=EMPTY) if name == "answer" else None
    if record.variant.startswith(BEGUN):
        return record if name == "answer" else None
    if record.variant.startswith(OPTIONS):
        return record if name == "options" else None
    observed = any(record.variant.startswith(cls.variants) for cls in observations().values())
    return record if name == "variants" and not observed else None


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
            if record.variant == "answer":
                observed.setdefault(record.id, {}).update(record.observed)
            else:
                others.append(record)
    rows = [
        replace(r, observed=observed.get(r.id, EMPTY)) if r.variant == "answer" else r
        for r in parts.get("answer", ())
    ]
    known = {(r.variant, r.id) for r in rows}
    begun = [r for r in others if r.variant.startswith(BEGUN) and (r.variant, r.id) not in known]
    own = [r for r in others if not r.variant.startswith(BEGUN)]
    return [*rows, *begun, *parts.get("variants", ()), *own, *parts.get("options", ())]
