"""What is kept of passes so that a second question makes only what is new: a Want in its parts, and records of parts put together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, replace

from expunge.core.results import Record, Records
from expunge.evaluation.observations.extra import NOTHING, More
from expunge.evaluation.observations.few_shot_prefix import VARIANT
from expunge.evaluation.observations.masked_neighbors import VARIANT as NEIGHBOUR
from expunge.evaluation.observe import Want
from expunge.scoring.prefixes import REPORTED
from expunge.scoring.prefixes import VARIANT as BEGUN

BESIDE = {  # optional pass -> fields of the answer's row
    "sampling": ("samples", "sample_logp"),
    "extraction": ("overlap",),
    "gradients": ("grad_norm",),
    "lens": ("lens", "lens_rank"),
    "depth": ("depth",),
    "states": ("states",),
    "choices": ("choice_states",),
    "divergence": ("divergence",),
    "columns": ("concept",),
}
OPTIONS = ("letters/", "texts")


def parts_of(want: Want) -> Iterator[tuple[str, Want]]:
    """(name, the Want of it alone): the answers, their other variants, the options, and each optional pass."""
    if "answer" in want.variants:
        yield "answer", replace(want, variants=("answer",), options="", more=NOTHING)
    others = tuple(sorted(v for v in want.variants if v != "answer"))
    if others:
        yield "variants", Want(others)
    if want.options:
        yield "options", Want((), options=want.options)
    for f in fields(More):
        if getattr(want.more, f.name) is not None:
            tokens = want.tokens if f.name == "sampling" else 0
            yield f.name, Want((), tokens=tokens, more=More(**{f.name: getattr(want.more, f.name)}))


def covering(name: str, want: Want) -> list[Want]:
    """The Wants whose kept records serve: the part itself and, of answers, those that hold more."""
    if name != "answer":
        return [want]
    more = [replace(want, write=w, moments=m) for w in (want.write, True) for m in (want.moments, True)]
    return list(dict.fromkeys(more))


def cut_out(records: Records, role: str, name: str) -> Records:
    """What a part has among the records of a role."""
    return Records(r for r in map(lambda r: _own(r, name), (r for r in records if r.role == role)) if r is not None)


def _own(r: Record, name: str) -> Record | None:
    if name == "sampling" and r.variant == BEGUN + REPORTED:
        return replace(r, generated=None)  # what samples are held against
    if name in BESIDE:
        kept = {f: getattr(r, f) for f in BESIDE[name]}
        key = {f: getattr(r, f) for f in ("subject", "role", "id", "group", "variant")}
        return Record(**key, **kept) if r.variant == "answer" and any(x is not None for x in kept.values()) else None
    if r.variant == "answer":
        return replace(r, **{f: None for own in BESIDE.values() for f in own}) if name == "answer" else None  # type: ignore[arg-type]
    if r.variant == VARIANT:
        return r if name == "shots" else None
    if r.variant.startswith(NEIGHBOUR):
        return r if name == "neighbours" else None
    if r.variant.startswith(BEGUN):
        return r if name == "answer" else None
    return r if (name == "options") == r.variant.startswith(OPTIONS) and name in ("options", "variants") else None


def together(found: Mapping[tuple[str, str], Records]) -> Records:
    """(role, part) -> records, as one: roles in their order, rows of the answers with what the optional passes say of them."""
    rows: list[Record] = []
    for role in dict.fromkeys(role for role, _ in found):
        beside: dict[str, dict[str, object]] = {}
        for name, own in BESIDE.items():
            for r in (r for r in found.get((role, name), ()) if r.variant == "answer"):
                beside.setdefault(r.id, {}).update({f: getattr(r, f) for f in own})
        answers = found.get((role, "answer"), ())
        rows += [replace(r, **beside.get(r.id, {})) if r.variant == "answer" else r for r in answers]  # type: ignore[arg-type]
        known = {(r.variant, r.id) for r in answers}
        rows += [r for r in found.get((role, "sampling"), ()) if r.variant != "answer" and (r.variant, r.id) not in known]
        rows += [r for name in ("variants", "shots", "neighbours", "options") for r in found.get((role, name), ())]
    return Records(rows)
