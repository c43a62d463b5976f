"""``expunge auto``: the search in a run's folder, OUT/model the winner's, OUT/choice.json
everything that was tried.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from expunge.core.errors import Failed, Refused
from expunge.core.files import write_json
from expunge.core.requests import AutoRequest
from expunge.experiments.tuning.halving import Rung
from expunge.experiments.tuning.rows import ASIDE
from expunge.experiments.tuning.search import Budget, Search
from expunge.experiments.tuning.words import as_json, why
from expunge.models.families.source import ModelSource
from expunge.pipeline.guarded import loaded
from expunge.pipeline.record import ModelRecord
from expunge.pipeline.settings import case_of, out_of
from expunge.pipeline.training_inputs import encode_rows, supplied_by
from expunge.runs.folder import open_run


def auto(request: AutoRequest) -> dict[str, Any]:
    """Choose a method and its coefficients within a budget; OUT/model is the winner's.

    Returns what choice.json holds.
    """
    if (request.budget is None) == (request.minutes is None):
        raise Refused(
            "how much may be spent? give either --budget STEPS or --minutes M; the search is "
            "included"
        )
    _, case = case_of(request)
    seed = request.seed or 0
    source = ModelSource(lambda: loaded(request))
    supplied = supplied_by(request, case.train.get("forget", ()), seed, source)
    say = (lambda text: None) if request.quiet else print
    with open_run(
        out_of(request), verb="auto", request=request.as_json(), overwrite=request.overwrite
    ) as run:
        subject = source()
        search = Search(
            source,
            case,
            supplied,
            run.path,
            Budget(request.budget, request.minutes),
            seed=seed,
            batch=request.batch,
            lora=request.lora or 0,
            lr_scale=request.lr_scale,
            max_length=request.max_length,
            say=say,
        )
        forget = encode_rows(subject, search.rows.measured.get("forget", ()), request.max_length)
        record = ModelRecord(run, request, subject, search.rows.measured, forget)
        del subject  # the search takes it
        choice = chosen(search, request.methods)
        write_json(run.path / "choice.json", choice)
        method = {"name": choice["chosen"]["method"], "args": choice["chosen"]["arguments"]}
        facts = {"method": method, "seed": seed, "choice": choice["chosen"]}
        record.finish(search.chosen(), facts, f"auto, {method['name']}")
    return choice


def chosen(search: Search, methods: Sequence[str] = ()) -> dict[str, Any]:
    """The search carried out: what choice.json holds."""
    candidates = search.candidates(methods)
    plan, outcome = search.carry_out(candidates)
    best = outcome.best
    if best is None:
        reasons = [r.reason for r in outcome.results if r.reason]
        raise Failed(
            f"no candidate gave a model within {search.budget.words}"
            + (f"; the first broke: {reasons[0]}" if reasons else "")
        )
    results = as_json(outcome, candidates)
    by_key = {c.key: c for c in candidates}
    return {
        "schema": 1,
        "chosen": next(
            r for r, found in zip(results, outcome.results, strict=True) if found is best
        ),
        "why": why(outcome, candidates, search.left_out),
        "budget": {
            "steps": search.budget.steps,
            "minutes": search.budget.minutes,
            "spent": outcome.steps,
        },
        "floor": {**asdict(search.floor), "value": search.floor.value, "words": search.floor.words},
        "score": "harmonic mean of forgetting and utility, from probabilities; utility is the mean "
        "over kept sets of p / p of the original",
        "kept": {
            "aside": ASIDE,
            "last rung": "trains on all retain rows; its score is not comparable with those of the "
            "rungs before",
        },
        "seed": search.seed,
        "lr_scale": search.scale,
        "original": asdict(search.before),
        "rungs": [_rung(r) for r in plan],
        "results": results,
        "left_out": dict(search.left_out),
        "unreached": [by_key[k].as_json() for k in outcome.unreached],
    }


def _rung(rung: Rung) -> dict[str, int]:
    return {"steps": rung.steps, "width": rung.width}
