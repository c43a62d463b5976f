"""What a bench measures of every model: the columns of its table, and of a benchmark with stages
its own metrics.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from expunge.core.benchmark import Benchmark
from expunge.core.card import Call
from expunge.core.requests import UnlearnRequest
from expunge.core.results import Measurement
from expunge.evaluation.evaluate import Evaluation, EvaluationSettings, evaluate_one
from expunge.evaluation.metric import Judge
from expunge.models.causal_lm.model import Subject
from expunge.models.families.find import family_for
from expunge.pipeline.settings import judge, judges_of

ROLES = ("forget", "retain", "neighbour")
FORGET, UTILITY, NEIGHBOR = "forget/probability", "retain/probability", "neighbour/probability"
SAID = "forget/rouge_l_recall"
STRENGTH = "forget/extraction_strength"
Values = dict[str, Measurement]


def writes(bench: Benchmark) -> bool:
    """Whether models of the benchmark write texts, which an image classifier does not."""
    return "generate" in family_for(bench.case.evaluate["forget"]).capabilities


def teacher_forced(bench: Benchmark) -> list[Judge]:
    """What needs no generated text: probability on each role, and where models write texts
    extraction strength on forget.
    """
    roles = [r for r in ROLES if bench.case.evaluate.get(r)]
    found = [judge(Call("probability"), r) for r in roles]
    if writes(bench):
        found.append(judge(Call("extraction_strength"), "forget"))
    return found


def whole(bench: Benchmark) -> list[Judge]:
    """The measures of the table; of a benchmark with stages also its own, which are followed from
    stage to stage.
    """
    asked: list[tuple[str, str | None]] = []
    asked += [("rouge_l_recall", "forget")] if writes(bench) else []
    asked += [("model_utility", None)] if ("model_utility", None) in tuple(bench.metrics) else []
    found = [
        *teacher_forced(bench),
        *(judge(Call(m, dict(bench.arguments.get(m, {}))), role) for m, role in asked),
    ]
    own = judges_of(bench, bench.case) if bench.stages else []
    # its own arguments count where both ask the same
    return list({j.key: j for j in (*found, *own)}.values())


def values(subject: Subject, bench: Benchmark, judges: Sequence[Judge]) -> Values:
    """Measurements by key; only the roles that the judges read go through the model."""
    return dict(evaluated(subject, bench, judges).results)


def evaluated(subject: Subject, bench: Benchmark, judges: Sequence[Judge]) -> Evaluation:
    """What the judges find of a model, and the records that they read."""
    return evaluate_one(
        subject, bench.case, judges, EvaluationSettings(bench.generate, UnlearnRequest.max_length)
    )


def longest(bench: Benchmark) -> int:
    """How many tokens a row may have."""
    return EvaluationSettings(bench.generate, UnlearnRequest.max_length).limits["max_length"]


def as_json(found: Values) -> dict[str, Any]:
    return {key: m.as_json() for key, m in found.items()}
