"""What a judged model is, by where it comes from: an original or a gold is none of the unlearned
models, whatever it is called.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from expunge.runs.folder import read_run
from expunge.runs.seal import broken, edited

TRAINED = {"full": "original", "retain": "gold"}  # ``expunge train --on``


def made_as(run: Mapping[str, Any]) -> str:
    """What a run.yaml made: original, gold or unlearned; '' where that is not known (other verbs,
    other rows).
    """
    if run.get("verb") == "train":
        return TRAINED.get(str(run.get("on", _asked(run, "on") or "full")), "")
    return "unlearned" if run.get("verb") in ("unlearn", "auto", "guard") else ""


def made_in(source: str) -> Path | None:
    """The folder of the run that made a model, if the model lies in one."""
    return next(
        (p for p in (Path(source), Path(source).parent) if (p / "run.yaml").is_file()), None
    )


def origin_of(source: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    """``kind`` of a model that is judged, by the run that made it, or by being the very original or
    gold that it is held against.

    ``altered``: the folder's weights are others than its run made, or its run.yaml was edited, so
    that nothing is known of them.
    ``made_by``: the verb of that run, where it is known. ``effect``: what it did to the model,
    where that was nothing.
    ``facts``: what eval found, with the digests of all models under their names.
    """
    place = made_in(source)
    run = read_run(place) if place else {}
    doubt = broken(place, run) if place else ""
    if edited(doubt):
        return {
            "kind": same_as(facts, {}) or "unlearned",
            "altered": f"the run in its folder is not believed: {doubt}",
        }
    if digest_of(run, "result") and digest_of(facts, "model") != digest_of(run, "result"):
        return {
            "kind": same_as(facts, {}) or "unlearned",
            "altered": "the weights are not those that the run in its folder made",
        }
    made = made_as(run)
    effect = run.get("effect")
    if made in ("original", "gold"):
        kind = made
    else:
        kind = same_as(facts, {}) or made or "unlearned"
    idle = isinstance(effect, Mapping) and effect.get("nothing") is True
    return (
        {"kind": kind}
        | ({"made_by": str(run["verb"])} if made else {})
        | ({"effect": effect} if idle else {})
    )


def same_as(facts: Mapping[str, Any], known: Mapping[str, str]) -> str:
    """original or gold, if the judged model has the weights of one: of those beside it, or of
    ``known`` (digest -> kind); else ''.
    """
    own = digest_of(facts, "model")
    if not own:
        return ""
    beside = {}
    for name in facts:
        if name.split("/")[0] in ("gold", "original"):
            beside[digest_of(facts, name)] = name.split("/")[0]
    return beside.get(own) or known.get(own, "")


def digest_of(facts: Mapping[str, Any], name: str) -> str:
    """The digest of a model that a run.yaml names; '' if there is none."""
    found = facts.get(name)
    if isinstance(found, Mapping):
        return str(found.get("digest") or "")
    return ""


def origins(runs: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """digest -> kind of what these runs made or began with: the start of an unlearning run, unless
    another one made it, is an original.
    """
    unlearning = [run for run in runs if made_as(run) == "unlearned"]
    made = {digest_of(run, "result"): made_as(run) for run in runs if made_as(run)}
    begun = {digest_of(run, "model"): "original" for run in unlearning}
    return {
        digest: kind for digest, kind in {**begun, **made}.items() if digest and kind != "unlearned"
    }


def _asked(run: Mapping[str, Any], name: str) -> Any:
    request = run.get("request")
    return request.get(name) if isinstance(request, Mapping) else None
