"""Judging a model: each pass made once for all metrics, on the model and on those beside it, and what
is written of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from expunge.core.benchmark import Benchmark
from expunge.core.data import Case, Examples
from expunge.core.errors import listed
from expunge.core.escape import say
from expunge.core.files import write_json
from expunge.core.notes import note
from expunge.core.progress import bar
from expunge.core.requests import EvalRequest
from expunge.core.results import Measurement, Records
from expunge.data.cases import digest
from expunge.data.kinds import kinds_of, understood
from expunge.evaluation.cache import salt_for, salt_of
from expunge.evaluation.compare import as_json as comparison_json
from expunge.evaluation.evaluate import EvaluationSettings, named, sources_in
from expunge.evaluation.evaluate import evaluate as evaluate_models
from expunge.evaluation.evaluate import plain as plain
from expunge.evaluation.gold_checks import history, runs_of
from expunge.evaluation.observations.base import Cost
from expunge.evaluation.observations.plain_text import as_asked, told
from expunge.evaluation.observations.text_models import check_folder
from expunge.evaluation.store import for_run_folder, salted, write_records
from expunge.interop.lm_eval import check, harness
from expunge.models.causal_lm.load import digest_folder
from expunge.models.checkpoint import model_folder
from expunge.models.families.find import check_sources_alike
from expunge.pipeline.guarded import SUPPRESSED, bare, guard_facts, served
from expunge.pipeline.sequential import evaluate_stages
from expunge.pipeline.settings import absent_of, case_of, judges_of, out_of
from expunge.report.origin import origin_of
from expunge.runs.folder import RunFolder, open_run

# options that name a folder of another model, which some metrics read
TOOLS = ("encoder", "nli", "gibberish", "mlm")


def run_evaluate(request: EvalRequest) -> Path:
    """Judge a model, or the models that the stages of a benchmark left, one after the other."""
    return evaluate_stages(request, run_one)


def run_one(request: EvalRequest) -> Path:
    """Judge one model by the benchmark's metrics (or those asked for); OUT/measurements.json is the
    result.
    """
    if request.lm_eval:
        check(request.lm_eval, request.trust_remote_code)
    # the harness brings its own rows
    alone = request.lm_eval and not (request.benchmark or request.forget or request.retain)
    bench, case = (None, Case({}, {})) if alone else case_of(request)
    judges = judges_of(bench, case, request.metrics)
    asked = [] if alone else [("unlearned", request.model), *beside(request)]
    models = {name: partial(served, request, source) for name, source in asked}
    same_words(request, [source for _, source in beside(request)])
    for source in sources_in(request.gold):
        check_record(source, case)  # what must be refused is, before anything is measured
    tools = {name: getattr(request, name) for name in TOOLS}
    for name, folder in tools.items():
        if folder:
            check_folder(folder, f"--{name}")
    with open_run(
        out_of(request), verb="eval", request=request.as_json(), overwrite=request.overwrite
    ) as run:
        salt = salt_for(run.path / "private")
        if not request.quiet and not alone:
            say(understood(case.evaluate))
        settings = EvaluationSettings(
            bench.generate if bench else {}, request.max_length, salt, **tools
        )
        limit = 0 if settings.generate.get("roles") else settings.limits["max_new_tokens"]
        found = evaluate_models(
            models,
            case,
            judges,
            settings,
            watch=lambda name, ticks: bar(
                f"measuring {name}", ticks, quiet=request.quiet, unit="rows"
            ),
            told=lambda name, cost: None if request.quiet else said(name, cost, limit),
        )
        facts = {"data": data_facts(case.evaluate, salt), "label": request.label or run.path.name}
        facts |= {**found.facts, **absent_of(bench)}
        for line in found.facts.get("gold_checked", ()) if not request.quiet else ():
            say(line)
        for line in found.facts.get("gold_doubts", ()) if request.quiet else ():
            say(f"warning: {line}")
        texts = told(found.mine)
        if texts:
            facts["texts"] = texts
            if not request.quiet:
                say(texts)
        results = dict(found.results)
        if request.lm_eval:
            subject = served(request)
            facts["model"] = {"source": request.model, "digest": subject.digest}
            results |= harness(
                subject,
                request.lm_eval,
                limit=request.lm_limit,
                trust_remote_code=request.trust_remote_code,
            )
        facts |= kind_facts(request, facts) | guard_facts(request.model)
        if "guard" in facts and not request.quiet:
            say(f"{request.model}: {SUPPRESSED}")
        write_records(
            for_run_folder([*found.mine, *(found.others or ())]),
            run.path / "records" / "part-0.parquet",
        )
        written(request, run, bench, case, found.mine, found.others, results, salt)
        if found.beside_gold:
            golds = max(len(b.golds) for b in found.beside_gold.values())
            write_json(run.path / "comparison.json", comparison_json(found.beside_gold, golds))
        # the seal is keyed with the run's own secret, whatever made the ids
        salt_of(run.path / "private")
        run.finish(**facts)
    return run.path


def check_record(source: str, case: Case) -> None:
    """Refused if a gold's record says that it saw the forget rows, and is of the weights that lie
    there now.
    """
    place = model_folder(Path(source))
    if any(runs_of(source)) and place.is_dir():
        history(source, digest=digest_folder(place), case=case)


def kind_facts(request: EvalRequest, facts: Mapping[str, Any]) -> dict[str, Any]:
    """What the judged model is: as the user says, else by where it comes from (see
    ``report.origin``).
    """
    said = request.kind or (request.label if request.label in ("original", "gold") else "")
    origin = origin_of(request.model, facts)
    if "altered" in origin:
        note(f"{request.model}: {origin['altered']}: what it is is not known")
    return origin | ({"kind": said, "made_by": "said"} if said else {})


def written(
    request: EvalRequest,
    run: RunFolder,
    bench: Benchmark | None,
    case: Case,
    mine: Records,
    references: Records | None,
    results: Mapping[str, Measurement],
    salt: str,
) -> None:
    """What a run leaves besides its records: measurements, texts, and the peer's log if it was
    asked for.
    """
    if not request.no_texts:
        write_json(run.path / "private" / "texts.json", texts_of(mine, case, salt), mode=0o600)
    if request.format == "open-unlearning":
        from expunge.interop.open_unlearning_writer import peer_log

        gold = references.only("gold") if references is not None else None
        log = peer_log(mine, results, gold, texts=not request.no_texts)
        write_json(
            run.path / "private" / f"{bench.name.upper() if bench else 'CASE'}_EVAL.json",
            log,
            mode=0o600,
        )
    write_json(run.path / "measurements.json", as_json(results))


def beside(request: EvalRequest) -> list[tuple[str, str]]:
    """(subject, source) of the models that the judged one is held against."""
    return named(sources_in(request.gold), request.original, sources_in(request.shadow))


def same_words(request: EvalRequest, others: Sequence[str]) -> None:
    """Refused, before anything is measured, if a model beside the judged one reads or says other
    things: texts in other tokens, other classes.
    """
    for source in others:
        check_sources_alike(bare(request.model), bare(source), request.trust_remote_code)


def said(name: str, cost: Cost | None, limit: int) -> None:
    """On standard error: what optional passes made, and texts that never stopped.

    ``limit`` 0: roles have limits of their own.
    """
    if cost and cost.more:
        say(
            f"{name}: beyond the two passes, "
            f"{', '.join(f'{n} {what}' for what, n in cost.more.items())}"
        )
    if cost and cost.limited:
        share = cost.limited / cost.written
        at = f"the limit of {limit} tokens" if limit else "the token limit of their role"
        say(f"{name}: {cost.limited} of {cost.written} texts ({share:.0%}) stopped only at {at}")


def texts_of(records: Records, case: Case, salt: str) -> list[dict[str, Any]]:
    """What the model was asked, should have said and said: the rows with a generated text.

    For OUT/private only.
    """
    questions = {
        (role, salted(e.id, salt)): e.prompt for role, rows in case.evaluate.items() for e in rows
    }
    written = [r for r in as_asked(records) if r.generated is not None]
    asked = lambda r: questions.get((r.role, r.id)) or r.question  # of a plain text: its beginning
    return [
        {
            "id": r.id,
            "role": r.role,
            "question": asked(r),
            "answer": r.answer,
            "generated": r.generated,
        }
        for r in written
    ]


def data_facts(roles: Mapping[str, Examples], salt: str) -> dict[str, Any]:
    """Rows of each role: how many, and a digest under the run's secret (an open one could be tried
    against known texts).

    ``under`` tells secrets apart: digests under different ones cannot be compared. ValueError for
    an empty secret: the digests would be open ones.
    """
    if not salt:
        raise ValueError("digests of rows need a secret")
    under = digest((), salt)[:8]
    return {
        name: {
            "n": len(rows),
            "kind": kinds_of(rows),
            "digest": digest(rows, salt)[:16],
            "under": under,
        }
        for name, rows in roles.items()
    }


def as_json(results: Mapping[str, Measurement]) -> dict[str, Any]:
    """measurements.json: the schema's number and every Measurement by key."""
    return {"schema": 1} | {key: m.as_json() for key, m in results.items()}


def run_evaluate_log(request: EvalRequest) -> Path:
    """The same numbers from a log in the peer's format, without a model.

    Rows that only one of two logs has are listed.
    """
    from expunge.interop.open_unlearning_log import read_log
    from expunge.pipeline.from_log import beside_log, unmatched
    from expunge.pipeline.from_log import evaluate_log as from_log

    results = from_log(request.from_log, request.gold_log)
    apart = (
        unmatched(read_log(request.from_log), read_log(request.gold_log, "gold"))
        if request.gold_log
        else {}
    )
    for place_, sides in apart.items():
        for side, ids in sides.items():
            if ids:
                say(
                    f"{place_}: {len(ids)} rows {side.replace('here', 'in this log')}: "
                    f"{listed(ids, 20)}"
                )
    with open_run(
        out_of(request), verb="eval", request=request.as_json(), overwrite=request.overwrite
    ) as run:
        write_json(run.path / "measurements.json", as_json(results))
        if request.gold_log:
            write_json(
                run.path / "comparison.json",
                comparison_json(beside_log(results, request.gold_log), 1),
            )
        facts = {
            "log": {"source": str(request.from_log), "gold": str(request.gold_log or "")},
            "unmatched": apart,
        }
        run.finish(**facts)
    return run.path
