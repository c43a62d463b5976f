"""What makes numbers of different runs hard to compare, said before anybody compares them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from expunge.core.errors import listed
from expunge.report.folders import Folder, Found

# Settings in which gold must not differ from the original, or it is not the model that the original would have been.
SHARED = ("seed", "lr", "epochs", "steps", "batch", "accumulate", "dtype", "max_length", "lora")


def notices(found: Found) -> list[str]:
    """Plain sentences; empty if nothing stands out."""
    told = []
    kinds = {s.kind for s in found.subjects}
    if found.subjects and "gold" not in kinds and not any(s.beside for s in found.subjects):
        told.append("No gold model: without one trained without the forget set, no number here says how low is low enough.")
    if found.subjects and "original" not in kinds:
        told.append("No original: what was known before unlearning, and what unlearning cost, is not in this report.")
    told += _different_rows(found)
    told += _unlike_gold(found)
    if found.left_out:
        told.append(f"Left out, because not finished: {listed(found.left_out)}.")
    return told


def _different_rows(found: Found) -> list[str]:
    """Roles whose rows differ between the measured runs: in number, or by digest where the same secret made it."""
    met: dict[tuple[str, Any], set[Any]] = {}
    counts: dict[str, set[Any]] = {}
    for f in found.folders:
        if f.measurements is not None:
            for role, facts in _mapping(f.run.get("data")).items():
                facts = _mapping(facts)
                met.setdefault((str(role), facts.get("under")), set()).add(facts.get("digest"))
                counts.setdefault(str(role), set()).add(facts.get("n"))
    apart = {role for (role, _), digests in met.items() if len(digests) > 1}
    roles = [role for role, n in counts.items() if len(n) > 1 or role in apart]
    return [f"The models were measured on different rows of {listed(roles)}: their numbers are not comparable there."] if roles else []


def _unlike_gold(found: Found) -> list[str]:
    """Training settings that differ between the original and a gold."""
    trained = [f for f in found.folders if f.run.get("verb") == "train"]
    original = next((f for f in trained if f.kind == "original"), None)
    told = []
    for gold in (f for f in trained if f.kind == "gold") if original else ():
        ours, theirs = _settings(original), _settings(gold)
        apart = [f"{k} {ours[k]} and {theirs[k]}" for k in SHARED if k in ours and k in theirs and ours[k] != theirs[k]]
        if apart:
            told.append(f"{gold.label} was not trained as the original was ({listed(apart)}): it is a weaker yardstick.")
    return told


def _settings(f: Folder | None) -> dict[str, Any]:
    if f is None:
        return {}
    found = {k: _mapping(v).get("value") if isinstance(v, Mapping) else v for k, v in _mapping(f.run.get("settings")).items()}
    return found | ({"seed": f.run["seed"]} if "seed" in f.run else {})


def _mapping(x: Any) -> Mapping[str, Any]:
    return x if isinstance(x, Mapping) else {}
