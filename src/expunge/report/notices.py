"""What makes numbers of different runs hard to compare, said before anybody compares them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from expunge.core.errors import listed
from expunge.report.format import unmoved
from expunge.report.load import Folder, Found, gold_doubts
from expunge.report.origin import digest_of, origins, same_as
from expunge.runs.seal import edited

# Settings in which gold must not differ from the original, or it is not the model that the original
# would have been.
SHARED = ("seed", "lr", "epochs", "steps", "batch", "accumulate", "dtype", "max_length", "lora")


def notices(found: Found) -> list[str]:
    """Plain sentences; empty if nothing stands out."""
    told = []
    kinds = {s.kind for s in found.subjects}
    if found.subjects and "gold" not in kinds and not any(s.beside for s in found.subjects):
        told.append(
            "No gold model: without one trained without the forget set, no number here says how "
            "low is low enough."
        )
    if found.subjects and "original" not in kinds:
        told.append(
            "No original: what was known before unlearning, and what unlearning cost, is not in "
            "this report."
        )
    told += _doubted(found)
    told += [f"{f.label}: {line}." for f in found.folders for line in gold_doubts(f.run)]
    told += _stale(found)
    told += _without_effect(found)
    told += _guarded(found)
    told += _different_rows(found)
    told += _unlike_gold(found)
    if found.left_out:
        told.append(f"Left out, because not finished: {listed(found.left_out)}.")
    return told


def edits(found: Found) -> list[str]:
    """Runs whose numbers are not what the run wrote, a sentence each."""
    return [
        f"{f.label} ({f.path.name}): edited: not trusted: {f.doubt}."
        for f in found.folders
        if edited(f.doubt)
    ]


def _doubted(found: Found) -> list[str]:
    """Runs whose numbers are not what the run wrote, one by one; and those that cannot be checked,
    together.
    """
    told = edits(found)
    bare = [f.label for f in found.folders if f.doubt and not edited(f.doubt)]
    if bare:
        why = "no digests were kept with them (another version, or another hand, wrote them)"
        told.append(f"Numbers that cannot be checked, because {why}: {listed(bare)}.")
    return told


def _stale(found: Found) -> list[str]:
    """Evaluations of weights that the run in the judged folder, which is in this report, did not
    make: it was made anew since.
    """
    made = {f.path: digest_of(f.run, "result") for f in found.folders if digest_of(f.run, "result")}
    told = []
    for f in (f for f in found.folders if f.run.get("verb") == "eval" and not edited(f.doubt)):
        judged = _mapping(f.run.get("model"))
        place = Path(str(judged.get("source", ""))).resolve()
        now = made.get(place) or made.get(place.parent)
        if now and judged.get("digest") and judged["digest"] != now:
            told.append(
                f"{f.label} ({f.path.name}) was measured on other weights than its model has now: "
                f"evaluate it again."
            )
    return told


def _guarded(found: Found) -> list[str]:
    """Models behind guards: what they withhold is not gone."""
    told = []
    for f in found.folders:
        guard = _mapping(f.run.get("guard"))
        if f.run.get("verb") == "eval" and guard:
            told.append(
                f"{f.label} answers behind the guard {guard.get('name', '')}, which changes no "
                f"weight: what it withholds is suppressed, not forgotten, and whoever has the "
                f"weights has it still."
            )
    return told


def _without_effect(found: Found) -> list[str]:
    """Runs that did nothing to the model, and models called unlearned that are an original or a
    gold to the bit.
    """
    told = [
        f"{f.label}: {'the run that made it' if f.run.get('verb') == 'eval' else 'this run'} did "
        f"nothing: {unmoved(f.run['effect'])}."
        for f in found.folders
        if _mapping(f.run.get("effect")).get("nothing") is True
    ]
    known = origins([f.run for f in found.folders])
    same = [
        (f.label, same_as(f.run, known))
        for f in found.folders
        if f.measurements is not None and f.kind == "unlearned"
    ]
    return [
        *told,
        *(
            f"{label} has the very weights of the {kind}: nothing was unlearned."
            for label, kind in same
            if kind
        ),
    ]


def _different_rows(found: Found) -> list[str]:
    """Roles whose rows differ between the measured runs: in number, or by digest where the same
    secret made it.
    """
    met: dict[tuple[str, Any], set[Any]] = {}
    counts: dict[str, set[Any]] = {}
    for f in found.folders:
        if f.measurements is not None:
            for role, facts in _mapping(f.run.get("data")).items():
                facts = _mapping(facts)
                # what a stranger's file says may be a list: as text it can be compared, too
                met.setdefault((str(role), str(facts.get("under"))), set()).add(
                    str(facts.get("digest"))
                )
                counts.setdefault(str(role), set()).add(str(facts.get("n")))
    apart = {role for (role, _), digests in met.items() if len(digests) > 1}
    roles = [role for role, n in counts.items() if len(n) > 1 or role in apart]
    if roles:
        return [
            f"The models were measured on different rows of {listed(roles)}: their numbers are not "
            f"comparable there."
        ]
    return []


def _unlike_gold(found: Found) -> list[str]:
    """Training settings that differ between the original and a gold."""
    trained = [f for f in found.folders if f.run.get("verb") == "train"]
    original = next((f for f in trained if f.kind == "original"), None)
    told = []
    for gold in (f for f in trained if f.kind == "gold") if original else ():
        ours = _settings(original)
        theirs = _settings(gold)
        apart = []
        for k in SHARED:
            if k in ours and k in theirs and ours[k] != theirs[k]:
                apart.append(f"{k} {ours[k]} and {theirs[k]}")
        if apart:
            told.append(
                f"{gold.label} was not trained as the original was ({listed(apart)}): it is a "
                f"weaker yardstick."
            )
    return told


def _settings(f: Folder | None) -> dict[str, Any]:
    if f is None:
        return {}
    found = {}
    for k, v in _mapping(f.run.get("settings")).items():
        found[k] = _mapping(v).get("value") if isinstance(v, Mapping) else v
    return found | ({"seed": f.run["seed"]} if "seed" in f.run else {})


def _mapping(x: Any) -> Mapping[str, Any]:
    return x if isinstance(x, Mapping) else {}
