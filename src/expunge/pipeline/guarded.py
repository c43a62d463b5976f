"""Models behind guards: a guard fitted and put before a model, and a guarded model loaded again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from expunge import registry
from expunge.core.card import Call
from expunge.core.data import Examples
from expunge.core.errors import Refused
from expunge.models.causal_lm.model import Subject
from expunge.models.families.find import load
from expunge.models.guard_files import FittedGuard, guard_folder, read_guard
from expunge.models.guarded import Guarded

SUPPRESSED = (
    "a guard changes what is said and no weight: what it withholds is suppressed, and stands in "
    "the model behind it as before"
)


def guarded(
    model: Any, called: Call, forget: Examples, retain: Examples, benchmark: str = ""
) -> Guarded:
    """A model behind a guard that is fitted on rows.

    Args:
        model: The model; it stays as it is.
        called: The guard by name, with its arguments.
        forget: Rows that are to be forgotten.
        retain: Rows that are to be kept.
        benchmark: Its settings on the guard's card stand below the arguments.

    Raises:
        Refused: The guard or an argument of it is unknown, the rows do not do, or the model cannot
            do what the guard needs.
    """
    member = registry.member("guards", called.name)
    given = {**member.card.get("settings", {}).get(benchmark, {}), **called.args}
    args = registry.checked("guards", called.name, given)
    guard = registry.resolve("guards", called.name, args)
    if isinstance(model, Guarded):
        raise Refused(f"{model.source} stands behind a guard already; guard the model itself")
    source = str(Path(model.folder).resolve()) if model.folder else model.source
    unfitted = FittedGuard(member.name, args, base=source, base_digest=model.digest)
    Guarded(model, guard, unfitted)  # what must be refused is, before anything is fitted
    fitted = FittedGuard(member.name, args, guard.fit(forget, retain), source, model.digest)
    return Guarded(model, guard, fitted, f"{model.source} behind {member.name}")


def loaded(request: Any, source: str | None = None) -> Subject:
    """The model of a request, with its weights.

    Raises:
        Refused: It cannot be loaded, or is one behind a guard, which has no weights of its own.
    """
    name = source or request.model
    place = guard_folder(name)
    if place is not None:
        raise Refused(
            f"{name}: a model behind a guard has no weights of its own to change; give the model "
            f"itself, {read_guard(place).base}"
        )
    return _load(request, name)


def served(request: Any, source: str | None = None) -> Subject:
    """The model of a request as it answers: behind its guard, if ``expunge guard`` made it.

    Raises:
        Refused: It cannot be loaded, or the model behind the guard is another than it was.
    """
    name = source or request.model
    place = guard_folder(name)
    if place is None:
        return _load(request, name)
    fitted = read_guard(place)
    if Path(fitted.base).is_absolute() and not Path(fitted.base).exists():
        raise Refused(f"{name}: the model behind its guard is not at {fitted.base} any more")
    base = _load(request, fitted.base)
    if base.digest != fitted.base_digest:
        raise Refused(
            f"{name}: the model at {fitted.base} is another than its guard was put before; fit the "
            f"guard again"
        )
    guard = registry.resolve("guards", fitted.name, fitted.args)
    # it has the methods of a language model that a guard does not hide
    return cast(Subject, Guarded(base, guard, fitted, name))


def bare(source: str) -> str:
    """The model itself: the one behind the guard, if ``source`` names a guarded one."""
    place = guard_folder(source)
    return source if place is None else read_guard(place).base


def guard_facts(source: str) -> dict[str, Any]:
    """What run.yaml says of the guard of a judged model; {} without one."""
    place = guard_folder(source)
    if place is None:
        return {}
    fitted = read_guard(place)
    told: Mapping[str, Any] = {"name": fitted.name, "args": dict(fitted.args), "base": fitted.base}
    return {"guard": dict(told)}


def _load(request: Any, source: str) -> Subject:
    return load(
        source,
        dtype=request.dtype or "auto",
        device=request.device or "auto",
        trust_remote_code=request.trust_remote_code,
    )
