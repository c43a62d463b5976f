"""Reads run folders: every folder below the given ones that holds measurements, a curve, a log or a
run.yaml.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from expunge.core.errors import Refused, listed
from expunge.core.results import EMPTY, Measurement
from expunge.report.beside import Beside
from expunge.report.compare import KINDS, Curve, Judged, as_judged, curves_of
from expunge.report.origin import origins, same_as
from expunge.report.parse import (
    read_comparison,
    read_curves,
    read_log,
    read_measurements,
    read_texts,
)
from expunge.runs.folder import read_run
from expunge.runs.seal import broken, edited

FILES = ("measurements.json", "curves.json", "log.jsonl", "run.yaml")
# What lies in these is weights, unfinished work or texts; none of it is a run folder.
INSIDE = frozenset({"model", "guard", "stages", "edits", "checkpoints", "records", "private"})


@dataclass(frozen=True)
class Folder:
    """One run folder as it lies on disk.

    ``texts`` is empty unless texts were asked for. ``doubt``: why its numbers are not to be trusted
    (see ``runs.seal``); '' if they are what the run wrote.
    """

    path: Path
    label: str
    kind: str = "unlearned"
    run: Mapping[str, Any] = field(default_factory=lambda: EMPTY)
    measurements: Mapping[str, Measurement] | None = None
    curves: tuple[Curve, ...] = ()
    beside: Mapping[str, Beside] = field(default_factory=lambda: EMPTY)
    log: tuple[Mapping[str, Any], ...] = ()
    doubt: str = ""
    texts: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class Found:
    """All that a report is made of. ``left_out`` names folders of runs that are not finished."""

    folders: tuple[Folder, ...]
    subjects: tuple[Judged, ...]
    curves: tuple[Curve, ...]
    left_out: tuple[str, ...] = ()


def find(run_dirs: Sequence[Path], *, texts: bool = False) -> Found:
    """Everything below ``run_dirs``; Refused if a folder is absent, holds no run, or a file in it
    cannot be read.
    """
    if not run_dirs:
        raise Refused(
            "no run folder given; name one or more folders that expunge train, unlearn or eval "
            "wrote"
        )
    places: dict[Path, None] = {}
    for given in map(Path, run_dirs):
        if not given.is_dir():
            raise Refused(
                f"no run folder {given}; name a folder that expunge train, unlearn or eval wrote"
            )
        places |= dict.fromkeys(_below(given.resolve()))
    read = [_read(place, texts) for place in places]
    came_from = origins([f.run for f in read if not edited(f.doubt)])
    read = [_by_origin(f, came_from) for f in read]
    done = [f for f in read if _ended(f)]
    left_out = tuple(
        f.path.name for f in read if not _ended(f) and (f.measurements or f.log or f.curves)
    )
    if not any(f.measurements or f.log or f.curves for f in done):
        if left_out:
            why = f"not finished: {listed(left_out)}"
        else:
            why = "no measurements.json and no log.jsonl there"
        raise Refused(f"nothing to report below {listed(map(str, run_dirs))}: {why}")
    folders = _own_labels(done)
    subjects = tuple(_judged(f) for f in folders if f.measurements is not None)
    given_curves = [c for f in folders for c in f.curves]
    subjects += tuple(as_judged(given_curves, [s.label for s in subjects if s.kind != "attacked"]))
    known = {(c.attack, c.of) for c in given_curves}
    gathered = [c for c in curves_of(subjects) if (c.attack, c.of) not in known]
    return Found(folders, subjects, tuple(given_curves + gathered), left_out)


def _below(root: Path) -> Iterable[Path]:
    """Folders that hold one of FILES, in a stable order."""
    for place, inner, files in os.walk(root):
        inner[:] = sorted(d for d in inner if d not in INSIDE and not d.startswith("."))
        if any(name in files for name in FILES):
            yield Path(place)


def _ended(f: Folder) -> bool:
    """Whether its run came to its end.

    One that is sealed did, whatever its status says now: so a run cannot be hidden.
    """
    return f.run.get("status", "finished") == "finished" or "seal" in f.run


def _read(place: Path, texts: bool) -> Folder:
    run = read_run(place) if (place / "run.yaml").exists() else {}
    if place.name in ("eval", "evaluation"):
        name = place.parent.name
    else:
        name = place.name
    if isinstance(run.get("request"), dict):
        asked = run.get("request")
    else:
        asked = {}
    label = str(run.get("label") or (asked or {}).get("label") or name)
    kind = str(
        run.get("kind")
        or (
            "attacked"
            if run.get("attack")
            else label
            if label in ("original", "gold")
            else "unlearned"
        )
    )
    if kind not in KINDS:
        raise Refused(
            f"{place / 'run.yaml'}: kind is {kind!r}; it must be one of {', '.join(KINDS)}"
        )
    found = read_measurements(place / "measurements.json")
    curves = read_curves(place / "curves.json")
    beside = read_comparison(place / "comparison.json") or {}
    log = read_log(place / "log.jsonl")
    if found or curves or beside or log or "seal" in run:
        doubt = broken(place, run)
    else:
        doubt = ""
    # what was edited says nothing of gold; what cannot be checked is shown and is never good
    if doubt:
        if edited(doubt):
            beside = {}
        else:
            beside = {key: replace(b, doubted=True) for key, b in beside.items()}
    return Folder(
        place,
        label,
        kind,
        run,
        found,
        tuple(replace(c, doubt=doubt) for c in curves),
        beside,
        log,
        doubt,
        read_texts(place / "private") if texts else (),
    )


def _judged(f: Folder) -> Judged:
    attack = f.run.get("attack")
    measured = f.measurements or {}
    doubts = "; ".join(gold_doubts(f.run))
    return Judged(
        f.label,
        f.kind,
        measured,
        attack if isinstance(attack, dict) else {},
        f.beside,
        f.doubt,
        doubts,
    )


def gold_doubts(run: Mapping[str, Any]) -> list[str]:
    """Why being like the golds of an evaluation says little, one line a gold."""
    told = run.get("gold_doubts")
    if isinstance(told, list):
        return [str(line) for line in told]
    return []


def _by_origin(f: Folder, known: Mapping[str, str]) -> Folder:
    """The folder with the kind of its model, where neither the user said it nor the run that made
    the model.
    """
    asked = f.run.get("request")
    said = (
        (isinstance(asked, dict) and asked.get("kind"))
        or "made_by" in f.run
        or f.run.get("verb") != "eval"
    )
    if said or f.kind != "unlearned":
        return f
    return replace(f, kind=same_as(f.run, known) or f.kind)


def _own_labels(folders: Sequence[Folder]) -> tuple[Folder, ...]:
    """Labels that name one measured folder each; a curve or an attack follows the nearest folder of
    its model's old label.
    """
    names: dict[str, list[tuple[Path, str]]] = {}
    for f in folders:
        if f.measurements is not None and f.kind != "attacked":
            names.setdefault(f.label, []).append((f.path, f.label))
    for label, same in names.items():
        if len(same) > 1:
            root = Path(os.path.commonpath([p for p, _ in same]))
            names[label] = [(p, f"{label} ({p.relative_to(root)})") for p, _ in same]

    def near(label: str, path: Path) -> str:
        return max(
            names.get(label, [(path, label)]), key=lambda e: len(os.path.commonpath([e[0], path]))
        )[1]

    found = []
    for f in folders:
        label = f.label if f.kind == "attacked" else near(f.label, f.path)
        curves = tuple(replace(c, of=near(c.of, f.path)) for c in f.curves)
        run = f.run
        attack = run.get("attack")
        if isinstance(attack, dict):
            run = {**run, "attack": {**attack, "of": near(str(attack.get("of")), f.path)}}
        found.append(replace(f, label=label, curves=curves, run=run))
    return tuple(found)
