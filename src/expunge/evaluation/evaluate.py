"""One model judged beside others: every pass made once on each of them, every metric on their
records, and the comparison with gold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from expunge.core.data import Case
from expunge.core.progress import Tick
from expunge.core.results import EMPTY, Measurement, Records
from expunge.evaluation.cache import measured
from expunge.evaluation.compare import compared
from expunge.evaluation.gold_checks import checked, distinct
from expunge.evaluation.likeness import beside_original
from expunge.evaluation.metric import Judge, judged, wants_of
from expunge.evaluation.observations.base import Cost, References, Want
from expunge.evaluation.observations.masked_language_model import Masked
from expunge.evaluation.observations.text_models import with_meaning
from expunge.evaluation.observe import measure, work
from expunge.models.causal_lm.model import Subject
from expunge.report.beside import Beside

Loader = Callable[[], Subject]


def _unwatched(name: str, ticks: int) -> AbstractContextManager[Tick]:
    return nullcontext(lambda n: None)


@dataclass(frozen=True)
class EvaluationSettings:
    """How models are evaluated.

    Attributes:
        generate: Limits and lengths of the benchmark, see ``Benchmark.generate``.
        max_length: Tokens of a row, unless the benchmark allows more.
        salt: Keys the ids of the records.
        keep: Whether records are kept between evaluations, where EXPUNGE_CACHE names a folder.
            Without, the ids of the records are those of the rows.
        encoder: Folder of a sentence encoder, which some metrics read; "" for none, as for the
            others.
        nli: Folder of a model of entailment.
        gibberish: Folder of a model that tells language from gibberish.
        mlm: Folder of a masked language model, which replaces words.
    """

    generate: Mapping[str, Any] = field(default_factory=lambda: EMPTY)
    max_length: int = 512
    salt: str = ""
    keep: bool = True
    encoder: str = ""
    nli: str = ""
    gibberish: str = ""
    mlm: str = ""

    @property
    def limits(self) -> dict[str, int]:
        """How many tokens are generated at most, and how long a row may be."""
        return {
            "max_new_tokens": int(self.generate.get("max_new_tokens", 200)),
            "max_length": max(self.max_length, int(self.generate.get("max_length", 0))),
        }


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found.

    Attributes:
        results: Measurements by key.
        metrics: What was asked.
        mine: Records of the judged model.
        others: Records of the models beside it; None without any.
        facts: What run.yaml keeps: models with digests, passes, checks of gold.
    """

    results: Mapping[str, Measurement]
    metrics: Sequence[Judge]
    mine: Records
    others: Records | None
    facts: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def beside_gold(self) -> Mapping[str, Beside]:
        """The comparison with gold by key; empty without gold."""
        return compared(self.metrics, self.results, self.others)


def sources_in(words: str) -> list[str]:
    """The models that an option names, set apart by commas.

    A comma may be a part of a folder's name (``lr=1e-3,seed=0``): as many pieces as name an
    existing folder together are one.
    """
    pieces = words.split(",")
    found: list[str] = []
    while pieces:
        ends = [n for n in range(len(pieces), 1, -1) if _exists(",".join(pieces[:n]))]
        taken = ends[0] if ends else 1
        found.append(",".join(pieces[:taken]))
        pieces = pieces[taken:]
    return [source for source in found if source]


def _exists(name: str) -> bool:
    try:
        return Path(name).exists()
    except (OSError, ValueError):  # a name that no file can have
        return False


def named(
    golds: Sequence[Any], original: Any = None, shadows: Sequence[Any] = ()
) -> list[tuple[str, Any]]:
    """(subject, model) of what the judged one is held against: gold, gold/1 ..., original, shadow/0
    ...
    """
    found = [("gold" if i == 0 else f"gold/{i}", g) for i, g in enumerate(golds)]
    return [
        *found,
        *([("original", original)] if original else []),
        *((f"shadow/{i}", s) for i, s in enumerate(shadows)),
    ]


def evaluate(
    models: Mapping[str, Loader],
    case: Case,
    metrics: Sequence[Judge],
    settings: EvaluationSettings = EvaluationSettings(),
    *,
    watch: Callable[[str, int], AbstractContextManager[Tick]] = _unwatched,
    told: Callable[[str, Cost | None], None] = lambda name, cost: None,
) -> Evaluation:
    """Evaluate ``models["unlearned"]`` beside the others (see ``named``), one model at a time.

    Args:
        models: Functions that load them, by name.
        case: The rows that are asked, by role.
        metrics: What is measured; each observation that one of them needs is made once.
        settings: Lengths, the key of the records' ids, models that some metrics read.
        watch: A context of a Tick for each model, made for its name and its number of ticks.
        told: Hears the name of each model and what it cost (None: all was kept).

    Raises:
        Refused: A gold is the judged model, or was trained on forget rows.
    """
    wants = wants_of(metrics, [r for r in case.evaluate if case.evaluate[r]], settings.generate)
    found: dict[str, Records] = {}
    facts: dict[str, Any] = {"passes": {}}
    writer = (
        Masked(settings.mlm)
        if settings.mlm and any("masked_model" in w.beside for w in wants.values())
        else None
    )
    if writer:
        facts["mlm"] = {"source": writer.source, "digest": writer.digest}
    digests: dict[str, str] = {}
    sources: dict[str, str] = {}
    lines: list[str] = []
    for name, load in models.items():
        subject = load()
        same = distinct(name, subject.digest, digests)
        digests[name], sources[name] = subject.digest, subject.source
        if same:
            lines.append(
                f"{name} has the very weights of {same}: the two are one model, and count once"
            )
            continue
        facts["model" if name == "unlearned" else name] = {
            "source": subject.source,
            "digest": subject.digest,
        }
        own = wants if name == "unlearned" else plain(wants)
        references = replace(_beside(name, own, models), masked_model=writer)
        tick: Tick
        with watch(name, work(case.evaluate, own)) as tick:
            found[name], cost = _observed(subject, case, own, settings, references, name, tick)
        facts["passes"][name] = vars(cost) if cost else "reused"
        told(name, cost)
        del subject, references  # before the next one is loaded
    golds = checked(sources, found, digests, case).values()
    lines += [gold.line for gold in golds]
    if lines:
        facts["gold_checked"] = lines
    doubts = [gold.doubt for gold in golds if gold.doubt]
    if doubts:
        facts["gold_doubts"] = doubts
    every = beside_original(Records(r for records in found.values() for r in records))
    every = with_meaning(every, settings.encoder, settings.nli, settings.gibberish)
    mine = every.only("unlearned")
    others = Records(r for r in every if r.subject != "unlearned") if len(found) > 1 else None
    return Evaluation(judged(metrics, mine, others), metrics, mine, others, facts)


def evaluate_one(
    model: Subject,
    case: Case,
    metrics: Sequence[Judge],
    settings: EvaluationSettings = EvaluationSettings(),
    references: References = References(),
    others: Records | None = None,
) -> Evaluation:
    """Evaluate one model in memory. Its records are made anew and carry the ids of the rows.

    Args:
        model: What is evaluated.
        case: The rows that are asked, by role; only the roles that a metric reads go through the
            model.
        metrics: What is measured; each observation that one of them needs is made once.
        settings: Lengths.
        references: Models that an observation reads beside it.
        others: Records of the models beside it, which were made before.
    """
    wants = wants_of(metrics, [r for r in case.evaluate if case.evaluate[r]], settings.generate)
    mine, cost = _observed(
        model, case, wants, replace(settings, keep=False), references, "unlearned", lambda n: None
    )
    facts = {"passes": {"unlearned": vars(cost) if cost else "reused"}}
    return Evaluation(judged(metrics, mine, others), metrics, mine, others, facts)


def observe_reference(
    model: Subject,
    name: str,
    case: Case,
    metrics: Sequence[Judge],
    settings: EvaluationSettings = EvaluationSettings(),
    references: References = References(),
) -> Records:
    """The records of a model that others are held against (gold, original), for ``evaluate_one``:
    made anew, once for many.
    """
    wants = plain(
        wants_of(metrics, [r for r in case.evaluate if case.evaluate[r]], settings.generate)
    )
    return _observed(
        model, case, wants, replace(settings, keep=False), references, name, lambda n: None
    )[0]


def _observed(
    model: Subject,
    case: Case,
    wants: Mapping[str, Want],
    settings: EvaluationSettings,
    references: References,
    name: str,
    tick: Tick,
) -> tuple[Records, Cost | None]:
    """The records of one model, and what they cost; None if all of them had been kept."""
    if settings.keep:
        kept: tuple[Records, Cost | None] = measured(
            model,
            case.evaluate,
            wants,
            references=references,
            salt=settings.salt,
            name=name,
            tick=tick,
            **settings.limits,
        )
        return kept
    made = measure(
        model, case.evaluate, wants, references=references, name=name, tick=tick, **settings.limits
    )
    return made.records, made.cost


def plain(wants: Mapping[str, Want]) -> dict[str, Want]:
    """What a model beside the judged one is asked: the shared passes, and the observations that are
    compared.
    """
    return {role: want.of_references() for role, want in wants.items()}


def _beside(name: str, wants: Mapping[str, Want], models: Mapping[str, Loader]) -> References:
    """The models that the observations of one model read beside it."""
    needed = {which for want in wants.values() for which in want.beside}
    original = "original" in needed and "original" in models and name != "original"
    gold = "gold" in needed and "gold" in models and name == "unlearned"
    return References(
        models["original"]() if original else None, models["gold"]() if gold else None
    )
