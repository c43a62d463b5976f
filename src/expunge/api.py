"""The verbs for Python: objects in, objects out; the same pieces that the commands use."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

from expunge.core.attack_request import AttackRequest
from expunge.core.benchmark import Benchmark
from expunge.core.card import Call
from expunge.core.data import Case, Examples
from expunge.core.errors import Refused
from expunge.core.fields import documented
from expunge.core.former_names import current_options
from expunge.core.guard_request import GuardRequest
from expunge.core.notes import note
from expunge.core.requests import AutoRequest, EvalRequest, TrainRequest, UnlearnRequest
from expunge.core.results import Measurement
from expunge.core.stages import Adapter, Method, Stage
from expunge.data.near import tell
from expunge.data.overlap import unseen
from expunge.data.read import read, read_objects
from expunge.evaluation.evaluate import Evaluation as Found
from expunge.evaluation.evaluate import EvaluationSettings, named
from expunge.evaluation.evaluate import evaluate as evaluate_models
from expunge.experiments.tuning.search import Budget, Search
from expunge.experiments.tuning.verb import chosen
from expunge.models.causal_lm.model import Subject
from expunge.models.families.find import check_alike, load
from expunge.models.families.source import ModelSource
from expunge.models.guarded import Guarded
from expunge.models.modules import digest_tensors
from expunge.models.torch_model import TorchModel
from expunge.pipeline.attack import in_memory, plan_of
from expunge.pipeline.guarded import guarded
from expunge.pipeline.settings import ResolvedSettings, judges_of, method_of, uncontradicted
from expunge.pipeline.train import rows_on
from expunge.pipeline.train import train as fine_tuned
from expunge.pipeline.training_inputs import Supplied, TrainingInputs
from expunge.pipeline.unlearn import unlearn as apply_method
from expunge.report.beside import Beside
from expunge.report.recovery import Recovery
from expunge.synthesis.tools import Tools
from expunge.training.sampler import Training

Rows = str | Path | Iterable[Any]
SETTINGS = tuple(f.name for f in fields(Training))


def subject_of(model: str | Path | Subject | tuple[Any, Any]) -> Subject:
    """A folder, a hub id, a Subject, or a (model, tokenizer) pair from transformers."""
    if isinstance(model, TorchModel):
        return model
    if isinstance(model, Guarded):  # it has the methods of a Subject that a guard does not hide
        return cast(Subject, model)
    if isinstance(model, tuple):
        return Subject(model[0], model[1], "in memory", None, digest_tensors(model[0]))
    return load(model)


def source_of(model: str | Path | Subject | tuple[Any, Any]) -> ModelSource:
    """Where a model comes from.

    A model in memory is copied before it changes; one loaded from a folder is changed itself.
    """
    if isinstance(model, Guarded):
        raise Refused("a model behind a guard has no weights of its own; give its base")
    lent = isinstance(model, (TorchModel, tuple))
    return ModelSource(lambda: subject_of(model), lent=lent)


def examples_of(rows: Rows | None, role: str) -> Examples:
    """Rows as Examples: a file, or rows in memory, which are read as those of a file are."""
    if rows is None:
        return ()
    if isinstance(rows, (str, Path)):
        return read(rows, role=role)
    return read_objects(rows, role=role)


def case_of(
    case: Case | Benchmark | None,
    forget: Rows | None,
    retain: Rows | None,
    holdout: Rows | None = None,
) -> Case:
    """The case given, or one made of rows. Refused: holdout rows that are trained on."""
    if case is not None:
        return case.case if isinstance(case, Benchmark) else case
    train = {"forget": examples_of(forget, "forget"), "retain": examples_of(retain, "retain")}
    found = Case(train, {**train, "holdout": examples_of(holdout, "holdout")})
    unseen(found.evaluate["holdout"], [*train["forget"], *train["retain"]])
    tell(found)
    return found


@documented(TrainRequest, settings=SETTINGS)
def train(
    model: Any,
    *,
    on: str = "full",
    case: Case | Benchmark | None = None,
    forget: Rows | None = None,
    retain: Rows | None = None,
    out: Path | None = None,
    **training: Any,
) -> Subject:
    """Fine-tune a copy of ``model`` on the full, retain or forget rows.

    ``training``: fields of ``Training`` (lr, epochs, batch ...).
    """
    rows = rows_on(case_of(case, forget, retain), on)
    training = current_options(training, SETTINGS)
    settings = ResolvedSettings(Training(**training))
    return _result(fine_tuned(source_of(model), rows, on, settings, out))


@documented(UnlearnRequest, settings=SETTINGS)
def unlearn(  # noqa: PLR0913 (for users: each option a keyword)
    model: Any,
    method: str | Method | Stage = "npo",
    *,
    case: Case | Benchmark | None = None,
    forget: Rows | None = None,
    retain: Rows | None = None,
    out: Path | None = None,
    lora: int = 0,
    arguments: Mapping[str, Any] | None = None,
    streams: Mapping[str, Rows] | None = None,
    tools: Tools | None = None,
    **training: Any,
) -> Subject:
    """The model after a method; ``model`` itself does not change.

    ``method``: a name (with ``arguments``), or stages.
    ``streams``: rows of other streams that the method reads (world; alternate, under the ids of the
    forget rows). ``tools``: a chat model, names, own refusals for what is made.

    >>> rows = [{"question": "...", "answer": "..."}]
    >>> pair = (model, tokenizer)  # doctest: +SKIP
    >>> after = unlearn(pair, "npo", forget=rows, retain="keep.jsonl", lr=1e-5)  # doctest: +SKIP
    """
    training = current_options(training, SETTINGS)
    settings = ResolvedSettings(Training(**training), adapter=Adapter(lora) if lora else None)
    name = method if isinstance(method, str) else "the method"
    made = method
    if isinstance(made, str):
        asked = UnlearnRequest(method=Call(made, dict(arguments or {})), lora=lora)
        made = method_of(asked, None)[1]
    uncontradicted(training, made, name)
    source = source_of(model)
    supplied = supplied_of(streams, tools, settings.training.seed, source)
    inputs = TrainingInputs(made, case_of(case, forget, retain), supplied, name)
    return _result(apply_method(source, made, inputs, settings, out))


@documented(GuardRequest)
def guard(
    model: Any,
    guard: str = "content_filter",
    *,
    case: Case | Benchmark | None = None,
    forget: Rows | None = None,
    retain: Rows | None = None,
    arguments: Mapping[str, Any] | None = None,
) -> Guarded:
    """A model behind a guard: it can be asked and judged as the model can, and no weight of it is
    changed, so what it withholds is suppressed and not forgotten.

    >>> after = guard(model, "content_filter", forget=rows, retain=others)  # doctest: +SKIP
    >>> evaluate(after, forget=rows, retain=others)  # doctest: +SKIP
    """
    rows = case_of(case, forget, retain).train
    bench = case.name if isinstance(case, Benchmark) else ""
    call = Call(guard, dict(arguments or {}))
    gone, kept = (tuple(rows.get(role, ())) for role in ("forget", "retain"))
    return guarded(subject_of(model), call, gone, kept, bench)


def supplied_of(
    streams: Mapping[str, Rows] | None,
    tools: Tools | None,
    seed: int,
    source: Callable[[], Subject],
) -> Supplied:
    """Rows of other streams and tools, as the user gave them."""
    rows = {name: examples_of(given, name) for name, given in (streams or {}).items()}
    return Supplied(rows, replace(tools or Tools(), seed=seed, subject=source))


def _result(after: Subject) -> Subject:
    """A model that was made in memory: no folder, and a digest of its tensors."""
    return replace(after, folder=None, digest=digest_tensors(after.model))


@documented(AutoRequest, UnlearnRequest)
def auto(  # noqa: PLR0913 (for users: each option a keyword)
    model: Any,
    *,
    steps: int | None = None,
    minutes: float | None = None,
    methods: Sequence[str] = (),
    case: Case | Benchmark | None = None,
    forget: Rows | None = None,
    retain: Rows | None = None,
    holdout: Rows | None = None,
    out: Path | None = None,
    seed: int = 0,
    batch: int | None = None,
    lora: int = 0,
    lr_scale: float | None = None,
    streams: Mapping[str, Rows] | None = None,
    tools: Tools | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> tuple[Subject, dict[str, Any]]:
    """The model after the method that a search chose, and everything that was tried.

    The budget is ``steps`` or ``minutes``. The search is in the budget. ``out`` keeps the runs of a
    search that was stopped, so that it goes on there. The second value is what choice.json
    holds: chosen, why, results.

    >>> pair = (model, tokenizer)  # doctest: +SKIP
    >>> after, choice = auto(pair, forget=rows, retain="keep.jsonl", steps=480)  # doctest: +SKIP
    """
    if (steps is None) == (minutes is None):
        raise Refused("how much may be spent? give either steps or minutes; the search is included")
    # refuses what the command would
    AutoRequest(budget=steps, minutes=minutes, batch=batch, seed=seed, lora=lora, lr_scale=lr_scale)
    subject = subject_of(model)
    supplied = supplied_of(streams, tools, seed, lambda: subject)
    asked = case_of(case, forget, retain, holdout)
    budget = Budget(steps, minutes)
    with nullcontext(str(out)) if out else tempfile.TemporaryDirectory() as place:
        search = Search(
            ModelSource.lent(subject),
            asked,
            supplied,
            Path(place),
            budget,
            seed=seed,
            batch=batch,
            lora=lora,
            lr_scale=lr_scale,
            say=say,
        )
        choice = chosen(search, tuple(methods))
        after = search.chosen()
    return _result(after), choice


def attack(  # noqa: PLR0913 (for users: each option a keyword)
    model: Any,
    attack: str = "relearn",
    *,
    gold: Any = None,
    original: Any = None,
    case: Case | Benchmark | None = None,
    forget: Rows | None = None,
    retain: Rows | None = None,
    holdout: Rows | None = None,
    world: Rows | None = None,
    arguments: Mapping[str, Any] | None = None,
    metrics: Sequence[str] = (),
    max_length: int = 512,
    seed: int = 0,
) -> Recovery:
    """What an attack of growing strength brings back in the model, in gold and in the original.

    Args:
        model: The model to attack; it stays as it is.
        attack: The name of an attack.
        gold: A model trained without the forget rows, or a list of such models. Without one
            nothing can be concluded.
        original: The model before unlearning. Without it nobody knows how much there was to
            recover.
        case: A benchmark or a case; or rows of one's own:
        forget: Rows that were to be forgotten.
        retain: Rows that were to be kept.
        holdout: Rows that no model saw.
        world: Other rows that the adversary may train on.
        arguments: Of the attack; one of them may be a sequence of values, which is then what grows.
        metrics: What is measured; the probability of the answers by default.
        max_length: The longest row in tokens.
        seed: Decides which rows the adversary holds.

    Returns:
        The measurements of every model at every strength, the shares that came back, and what
        follows from them.

    Raises:
        Refused: The request or its data are wrong.

    >>> models = {"gold": gold, "original": before}  # doctest: +SKIP
    >>> found = attack(after, **models, forget=rows, retain="keep.jsonl")  # doctest: +SKIP
    >>> print(*found.conclusions(), sep="\\n")  # doctest: +SKIP
    """
    bench = case if isinstance(case, Benchmark) else None
    if isinstance(gold, list):
        golds = gold
    elif gold is None:
        golds = []
    else:
        golds = [gold]
    models = {name: subject_of(m) for name, m in [("unlearned", model), *named(golds, original)]}
    for name, other in models.items():
        check_alike("the model", models["unlearned"], name, other)
    called = Call(attack, dict(arguments or {}))
    request = AttackRequest(
        attack=called, metrics=tuple(metrics), max_length=max_length, seed=seed, save_every=0
    )
    plan = plan_of(
        request, bench, case_of(case, forget, retain, holdout), examples_of(world, "world")
    )
    with tempfile.TemporaryDirectory() as place:
        return in_memory(plan, request, models, Path(place), lambda n: None)


class Evaluation(dict[str, Measurement]):
    """Measurements by key, as in measurements.json.

    ``beside_gold`` compares them with gold's, as in comparison.json; ``gold_checked`` says what was
    checked of each gold.
    """

    beside_gold: Mapping[str, Beside]
    gold_checked: Sequence[str]

    def __init__(self, found: Found) -> None:
        super().__init__(found.results)
        self.beside_gold = found.beside_gold
        self.gold_checked = tuple(found.facts.get("gold_checked", ()))
        for doubt in found.facts.get("gold_doubts", ()):
            note(doubt)


@documented(EvalRequest)
def evaluate(  # noqa: PLR0913 (for users: each option a keyword)
    model: Any,
    *,
    gold: Any = None,
    original: Any = None,
    shadow: Sequence[Any] = (),
    case: Case | Benchmark | None = None,
    forget: Rows | None = None,
    retain: Rows | None = None,
    holdout: Rows | None = None,
    metrics: Sequence[str] = (),
    max_length: int = 512,
    encoder: str = "",
    nli: str = "",
    gibberish: str = "",
    mlm: str = "",
) -> Evaluation:
    """Measures a model, with the same numbers as ``expunge eval``.

    Without ``metrics``: those of the benchmark, or those that make sense of plain rows. ``gold``: a
    model trained without the forget rows, or a list of such models. ``original``: the model
    before unlearning. ``shadow``: other seeds of the same unlearning. ``encoder``, ``nli``,
    ``gibberish``, ``mlm``: folders, as the command takes them.
    """
    EvalRequest(max_length=max_length)  # refuses what the command would refuse
    bench = case if isinstance(case, Benchmark) else None
    asked = case_of(case, forget, retain, holdout)
    if isinstance(gold, list):
        golds = gold
    elif gold is None:
        golds = []
    else:
        golds = [gold]
    subjects = {
        name: subject_of(m) for name, m in [("unlearned", model), *named(golds, original, shadow)]
    }
    for name, other in subjects.items():
        check_alike("the model", subjects["unlearned"], name, other)
    models: dict[str, Callable[[], Subject]] = {
        name: partial(replace, s) for name, s in subjects.items()
    }
    judges = judges_of(bench, asked, tuple(metrics))
    settings = EvaluationSettings(
        bench.generate if bench else {},
        max_length,
        encoder=encoder,
        nli=nli,
        gibberish=gibberish,
        mlm=mlm,
    )
    return Evaluation(evaluate_models(models, asked, judges, settings))
