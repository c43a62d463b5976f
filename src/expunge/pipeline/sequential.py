"""Benchmarks with stages: one run folder for each, OUT/1-NAME, OUT/2-NAME ...; what was finished is
not made again.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from expunge.core.benchmark import Benchmark
from expunge.core.errors import Refused, unknown
from expunge.core.requests import EvalRequest, UnlearnRequest
from expunge.evaluation.evaluate import sources_in
from expunge.pipeline.settings import benchmark_of, out_of
from expunge.runs.folder import once, open_run, read_run

Asked = TypeVar("Asked", UnlearnRequest, EvalRequest)


def parts_of(request: UnlearnRequest, bench: Benchmark) -> list[UnlearnRequest]:
    """A request for each stage, in order: each begins with the model that the one before it left,
    or each with the original.
    """
    found: list[UnlearnRequest] = []
    for i, name in enumerate(bench.stages, 1):
        model = found[-1].out if found and bench.begin == "last" else request.model
        out = str(Path(request.out) / f"{i}-{name}")
        found.append(replace(request, stage=name, model=model, out=out, overwrite=False))
    return found


def walk(request: Asked, parts: list[Asked], each: Callable[[Asked], Any]) -> Path:
    """Carry out the parts one after the other inside OUT; a walk that was killed goes on at the
    first unfinished one.

    Refused: a model that is not the one that the finished stages began with.
    """
    with open_run(
        out_of(request), verb=request.verb, request=request.as_json(), overwrite=request.overwrite
    ) as run:
        run.note(stages={part.stage or Path(part.out).name: Path(part.out).name for part in parts})
        for part in parts:
            once(Path(part.out), partial(each, part))
            if part.model == request.model:
                run.agree(model=read_run(part.out).get("model"))
        run.finish()
    return run.path


def walked(model: str) -> dict[str, str]:
    """name -> model of each stage, if a folder is that of a walk; else empty.

    Refused if the walk is not finished.
    """
    if not (Path(model) / "run.yaml").is_file() or (Path(model) / "model").exists():
        return {}
    run = read_run(model)
    stages = run.get("stages")
    if run.get("verb") != UnlearnRequest.verb or not isinstance(stages, Mapping):
        return {}
    if run.get("status") != "finished":
        raise Refused(
            f"{model}: not all of its stages are finished; repeat its expunge unlearn, which goes "
            f"on where it stopped"
        )
    return {str(name): str(Path(model) / str(folder)) for name, folder in stages.items()}


def evaluate_stages(request: EvalRequest, judged: Callable[[EvalRequest], Path]) -> Path:
    """Judge a model; one that stages left (the folder of a walk) stage by stage, each by what its
    stage asks, into OUT/1-NAME ...

    Args:
        request: The model, or the folder of a walk, and what is measured.
        judged: Evaluates one model in a run folder.
    """
    models = walked(request.model)
    if not models:
        return judged(request)
    if request.stage and request.stage not in models:
        raise unknown(f"stage of {request.model}", request.stage, models)
    bench = benchmark_of(request)
    asks = bench.stages if bench else {}
    parts = [_judging(request, name, model, name in asks) for name, model in models.items()]
    if request.stage:
        return judged(
            replace(
                parts[list(models).index(request.stage)],
                out=request.out,
                overwrite=request.overwrite,
            )
        )
    with _kept(out_of(request) / ".passes"):
        return walk(request, parts, judged)


def _judging(request: EvalRequest, name: str, model: str, own: bool) -> EvalRequest:
    """The request for the model of one stage.

    ``own``: the benchmark asks something of its own after this stage.
    """
    folder = Path(model).name
    shadow = ",".join(walked(s).get(name, s) for s in sources_in(request.shadow))
    label = f"{request.label} {name}" if request.label else folder
    return replace(
        request,
        stage=name if own else "",
        model=model,
        shadow=shadow,
        label=label,
        out=str(Path(request.out) / folder),
        overwrite=False,
    )


@contextmanager
def _kept(folder: Path) -> Iterator[None]:
    """What gold and the original say is measured once for all stages: kept in EXPUNGE_CACHE, or in
    a folder that goes at the end.
    """
    if os.environ.get("EXPUNGE_CACHE"):
        yield
        return
    os.environ["EXPUNGE_CACHE"] = str(folder)
    try:
        yield
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        del os.environ["EXPUNGE_CACHE"]
