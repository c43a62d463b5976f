"""What a judged model is, by where it comes from: an original or a gold is none of the unlearned models, whatever it is called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from expunge.engine.ledger import read_run

TRAINED = {"full": "original", "retain": "gold"}  # ``expunge train --on``


def made_as(run: Mapping[str, Any]) -> str:
    """What a run.yaml made: original, gold or unlearned; '' where that is not known (other verbs, other rows)."""
    if run.get("verb") == "train":
        return TRAINED.get(str(run.get("on", _asked(run, "on") or "full")), "")
    return "unlearned" if run.get("verb") in ("unlearn", "auto") else ""


def kind_of_model(source: str, facts: Mapping[str, Any]) -> tuple[str, str]:
    """(kind of a model that is judged, the verb of the run that made it or ''): by that run, or by being the very original or gold that
    it is held against. ``facts``: what eval found, with the digests of all models under their names.
    """
    place = next((p for p in (Path(source), Path(source).parent) if (p / "run.yaml").is_file()), None)
    run = read_run(place) if place else {}
    made = made_as(run)
    kind = made if made in ("original", "gold") else same_as(facts, {}) or made or "unlearned"
    return kind, str(run.get("verb", "")) if made else ""


def same_as(facts: Mapping[str, Any], known: Mapping[str, str]) -> str:
    """original or gold, if the judged model has the weights of one: of those beside it, or of ``known`` (digest -> kind); else ''."""
    own = digest_of(facts, "model")
    if not own:
        return ""
    beside = {digest_of(facts, name): name.split("/")[0] for name in facts if name.split("/")[0] in ("gold", "original")}
    return beside.get(own) or known.get(own, "")


def digest_of(facts: Mapping[str, Any], name: str) -> str:
    """The digest of a model that a run.yaml names; '' if there is none."""
    found = facts.get(name)
    return str(found.get("digest") or "") if isinstance(found, Mapping) else ""


def origins(runs: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """digest -> kind of what these runs made or began with: the start of an unlearning run, unless another one made it, is an original."""
    unlearning = [run for run in runs if made_as(run) == "unlearned"]
    made = {digest_of(run, "result"): made_as(run) for run in runs if made_as(run)}
    begun = {digest_of(run, "model"): "original" for run in unlearning}
    return {digest: kind for digest, kind in {**begun, **made}.items() if digest and kind != "unlearned"}


def _asked(run: Mapping[str, Any], name: str) -> Any:
    request = run.get("request")
    return request.get(name) if isinstance(request, Mapping) else None
