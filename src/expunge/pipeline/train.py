"""Fine-tune a model on rows of a case: originals, golds and shadow models.

It is carried out as a method is.
"""

from __future__ import annotations

from pathlib import Path

from expunge.core.card import Call
from expunge.core.data import Case, Example, Examples
from expunge.core.errors import Refused, no_choice
from expunge.core.requests import TrainRequest
from expunge.core.stages import Descent, Retrain
from expunge.losses.terms import nll
from expunge.models.causal_lm.model import Subject
from expunge.models.families.find import family_for
from expunge.models.families.source import ModelSource
from expunge.pipeline.guarded import loaded
from expunge.pipeline.settings import (
    ADAPTER,
    ResolvedSettings,
    absent_of,
    case_of,
    longest_of,
    out_of,
    training_settings,
)
from expunge.pipeline.training_inputs import MAX_LENGTH, TrainingInputs
from expunge.pipeline.unlearn import Job, carry_out, unlearn
from expunge.runs.folder import open_run
from expunge.synthesis.refusals import SENTENCES
from expunge.training.sampler import Training

ON = ("full", "retain", "forget")


def training_job(
    rows: Examples,
    on: str,
    settings: ResolvedSettings,
    max_length: int = MAX_LENGTH,
    longest: int = 0,
    parts: tuple[int, int] = (0, 0),
) -> Job:
    """Fine-tuning on some rows as a job: one stage that learns them.

    Args:
        rows: What is learned.
        on: Which rows of the case they are, for the stage's name.
        settings: The training settings.
        max_length: Tokens of a row.
        longest: Tokens that a row with an answer may have if that is more.
        parts: (shards, slices) of an ensemble; zeros for one model.
    """
    method: Descent | Retrain = Descent(f"train_{on}", (nll(stream="train"),), anchor="train")
    if any(parts):
        method = Retrain(f"train_{on}", method.terms, parts[0] or 1, parts[1] or 1)
    inputs = TrainingInputs(
        method,
        Case({"train": rows}, {}),
        name=method.name,
        always=(),
        max_length=max_length,
        longest=longest,
    )
    return Job(Call(method.name), method, inputs, settings)


def train(
    source: ModelSource,
    rows: Examples,
    on: str,
    settings: ResolvedSettings,
    folder: Path | None = None,
) -> Subject:
    """The model after fine-tuning on some rows; arguments as of ``training_job`` and ``unlearn``."""
    job = training_job(rows, on, settings)
    return unlearn(source, job.method, job.inputs, settings, folder)


def run_train(request: TrainRequest) -> Path:
    """Fine-tune a model on the case's full, retain or forget rows; OUT/model is the result."""
    bench, case = case_of(request)
    rows = rows_on(case, request.on)
    from_scratch = request.model == "tiny"
    preset = dict(bench.settings) if bench else {}
    if from_scratch:  # a benchmark's rate and adapter are those of a large model
        preset = {name: value for name, value in preset.items() if name not in ("lr", *ADAPTER)}
    defaults = Training(lr=family_for(rows).lr) if from_scratch else Training()
    settings = training_settings(request, preset, "benchmark", defaults)

    def start() -> Subject:
        return (
            fresh_tiny(case, settings.training.seed, own=bench is None)
            if from_scratch
            else loaded(request)
        )

    job = training_job(
        rows,
        request.on,
        settings,
        request.max_length or MAX_LENGTH,
        longest_of(bench),
        (request.shards, request.slices),
    )
    with open_run(
        out_of(request), verb="train", request=request.as_json(), overwrite=request.overwrite
    ) as run:
        return carry_out(
            run,
            request,
            ModelSource(start),
            job,
            {"on": request.on} | absent_of(bench),
            request.out,
        )


def rows_on(case: Case, on: str) -> Examples:
    """The rows that ``--on`` names: full, retain, forget, or others that the benchmark brings to
    train on (RESTOR: corrupt).

    ``full`` of plain files is forget and retain together.
    """
    if on not in (*ON, *case.train):
        raise no_choice("--on", on, (*ON, *case.train))
    rows = tuple(case.train.get(on) or ())
    if not rows and on == "full":
        rows = (*case.train.get("forget", ()), *case.train.get("retain", ()))
    if not rows:
        raise Refused(
            f"there are no {on} rows to train on; give them with "
            f"--{'forget' if on == 'full' else on}"
        )
    return rows


def fresh_tiny(case: Case, seed: int, *, own: bool = False) -> Subject:
    """A new tiny model of the family that reads the case's rows.

    ``own``: rows of the user's. Frequent words become whole tokens of tokenizer.json, which is
    published with the model, so theirs are taken from the retain rows alone (without any, from
    sentences that we bring), and gold's tokenizer, the same as the original's, holds no word that
    only a forget or holdout row has.
    """
    every = [e for rows in (*case.train.values(), *case.evaluate.values()) for e in rows]
    words = list(case.train.get("retain", ())) if own else every
    if not words:
        words = [Example("", "", "", text=sentence) for sentence in SENTENCES]
    model: Subject = family_for(every).fresh(every, words, seed)
    return model
