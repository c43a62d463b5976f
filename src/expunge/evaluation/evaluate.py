"""One model judged beside others: every pass made once on each of them, every metric on their records, and the comparison with gold."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from expunge.core.benchmark import Benchmark
from expunge.core.data import Case
from expunge.core.progress import Tick
from expunge.core.results import Measurement, Records
from expunge.evaluation.cache import measured
from expunge.evaluation.compare import compared
from expunge.evaluation.gold_checks import checked, distinct
from expunge.evaluation.likeness import beside_original
from expunge.evaluation.metric import Judge, judged, wants_of
from expunge.evaluation.observations.base import Cost, References, Want
from expunge.evaluation.observations.masked_language_model import Masked
from expunge.evaluation.observations.text_models import with_meaning
from expunge.evaluation.observe import work
from expunge.models.causal_lm.model import Subject
from expunge.report.beside import Beside

Loader = Callable[[], Subject]


@dataclass(frozen=True)
class Judgement:
    """Measurements by key, the comparison with gold by key (empty without gold), and what they were made from."""

    results: Mapping[str, Measurement]
    beside_gold: Mapping[str, Beside]
    mine: Records
    others: Records | None
    facts: Mapping[str, Any] = field(default_factory=dict)


def sources_in(words: str) -> list[str]:
    """The models that an option names, set apart by commas.

    A comma may be a part of a folder's name (``lr=1e-3,seed=0``): as many pieces as name an existing folder together are one.
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


def named(golds: Sequence[Any], original: Any = None, shadows: Sequence[Any] = ()) -> list[tuple[str, Any]]:
    """(subject, model) of what the judged one is held against: gold, gold/1 ..., original, shadow/0 ..."""
    found = [("gold" if i == 0 else f"gold/{i}", g) for i, g in enumerate(golds)]
    return [*found, *([("original", original)] if original else []), *((f"shadow/{i}", s) for i, s in enumerate(shadows))]


def limits_of(bench: Benchmark | None, max_length: int) -> dict[str, int]:
    """How many tokens are generated at most, and how long a row may be."""
    generate = bench.generate if bench else {}
    return {
        "max_new_tokens": int(generate.get("max_new_tokens", 200)),
        "max_length": max(max_length, int(generate.get("max_length", 0))),
    }


def judge_beside(
    models: Mapping[str, Loader],
    case: Case,
    bench: Benchmark | None,
    judges: Sequence[Judge],
    *,
    salt: str,
    max_length: int = 512,
    encoder: str = "",
    nli: str = "",
    gibberish: str = "",
    mlm: str = "",
    watch: Callable[[str, int], Any],
    told: Callable[[str, Cost | None], None] = lambda name, cost: None,
) -> Judgement:
    """Judge ``models["unlearned"]`` beside the others (see ``named``), one model at a time.

    ``watch(name, ticks)`` is a context of a Tick for each model; ``told(name, cost)`` hears what it cost (None: all was kept).
    """
    wants = wants_of(judges, [r for r in case.evaluate if case.evaluate[r]], bench.generate if bench else {})
    found: dict[str, Records] = {}
    facts: dict[str, Any] = {"passes": {}}
    writer = Masked(mlm) if mlm and any("masked_model" in w.beside for w in wants.values()) else None
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
            lines.append(f"{name} has the very weights of {same}: the two are one model, and count once")
            continue
        facts["model" if name == "unlearned" else name] = {"source": subject.source, "digest": subject.digest}
        own = wants if name == "unlearned" else plain(wants)
        references = replace(_beside(name, own, models), masked_model=writer)
        tick: Tick
        with watch(name, work(case.evaluate, own)) as tick:
            limits = limits_of(bench, max_length)
            found[name], cost = measured(subject, case.evaluate, own, references=references, salt=salt, name=name, tick=tick, **limits)
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
    every = with_meaning(every, encoder, nli, gibberish)
    mine = every.only("unlearned")
    others = Records(r for r in every if r.subject != "unlearned") if len(found) > 1 else None
    results = judged(judges, mine, others)
    return Judgement(results, compared(judges, results, others), mine, others, facts)


def plain(wants: Mapping[str, Want]) -> dict[str, Want]:
    """What a model beside the judged one is asked: the shared passes, and the observations that are compared."""
    return {role: want.of_references() for role, want in wants.items()}


def _beside(name: str, wants: Mapping[str, Want], models: Mapping[str, Loader]) -> References:
    """The models that the observations of one model read beside it."""
    needed = {which for want in wants.values() for which in want.beside}
    original = "original" in needed and "original" in models and name != "original"
    gold = "gold" in needed and "gold" in models and name == "unlearned"
    return References(models["original"]() if original else None, models["gold"]() if gold else None)
