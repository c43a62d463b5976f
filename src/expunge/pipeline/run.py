"""The pipeline, read top to bottom: load, change, judge, record. Everything that a command does, callable from Python."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from expunge import registry
from expunge.core.benchmark import Benchmark
from expunge.core.card import Call
from expunge.core.data import Case, Examples
from expunge.core.errors import Refused, no_choice
from expunge.core.escape import say, tell
from expunge.core.progress import bar
from expunge.core.requests import ReportRequest, TrainRequest, UnlearnRequest
from expunge.core.stages import Descent, Method, Stage
from expunge.data.kinds import understood
from expunge.evaluation.cache import salt_of
from expunge.losses.terms import nll
from expunge.models.causal_lm import tiny
from expunge.models.causal_lm.held import Held
from expunge.models.causal_lm.load import digest_folder, digest_tensors
from expunge.models.causal_lm.model import Subject
from expunge.models.causal_lm.positions import check_places, room_for_texts
from expunge.models.causal_lm.save import save
from expunge.models.causal_lm.tokenize import encode
from expunge.models.remote import Remote
from expunge.pipeline import effect
from expunge.pipeline.ask import ask as ask
from expunge.pipeline.cost import expected
from expunge.pipeline.evaluate import data_facts as data_facts
from expunge.pipeline.evaluate import evaluate_log as evaluate_log
from expunge.pipeline.evaluate import loaded as loaded
from expunge.pipeline.sequential import evaluate as evaluate
from expunge.pipeline.sequential import parts_of, walk
from expunge.pipeline.settings import ADAPTER, Settled, absent_of, at_stage, case_of, longest_of, method_of, out_of, training_settings
from expunge.pipeline.training_inputs import Given, check_rows, given_of, relabelled, rows_for
from expunge.report.format import unmoved
from expunge.report.html import write_report
from expunge.runs.folder import RunFolder, open_run
from expunge.synthesis.refusals import SENTENCES
from expunge.training.sampler import Training
from expunge.training.stages import change, check, edits_made, steps_of


def train(request: TrainRequest) -> Path:
    """Fine-tune a model on the case's full, retain or forget rows; OUT/model is the result."""
    bench, case = case_of(request)
    rows = rows_on(case, request.on)
    method = Descent(f"train_{request.on}", (nll(stream="train"),), anchor="train")
    fresh = request.model == "tiny"
    preset = {k: v for k, v in (bench.settings if bench else {}).items() if not (fresh and k in ("lr", *ADAPTER))}  # of a large model
    settings = training_settings(request, preset, "benchmark", Training(lr=tiny.LR) if fresh else Training())
    source = Held(lambda: fresh_tiny(case, settings.training.seed, own=bench is None) if fresh else loaded(request))
    with open_run(out_of(request), verb="train", request=request.as_json(), overwrite=request.overwrite) as run:
        return changed(
            run, request, source, method, {"train": rows}, settings, {"on": request.on} | absent_of(bench), longest=longest_of(bench)
        )


def unlearn(request: UnlearnRequest) -> Path:
    """Apply a method to a model; OUT/model is the result. Of a benchmark with stages one after the other: OUT/1-NAME/model ..."""
    bench, case = case_of(request)
    if not bench or not bench.stages or request.stage:
        return applied(request, bench, case)
    parts = parts_of(request, bench)
    cases = {part.stage: at_stage(bench, request.benchmark, part.stage) for part in parts}
    for part in parts:
        settled(part, *cases[part.stage], Held(lambda: loaded(request)))  # what must be refused is, before the first stage is trained
    if not request.dry_run:
        return walk(request, parts, lambda part: applied(part, *cases[part.stage]))
    subject = loaded(request)
    for part in parts:
        tell(f"{Path(part.out).name:<24} begins with {part.model}")
        planned(part, *cases[part.stage], subject)
    return Path(request.out)


def settled(
    request: UnlearnRequest, bench: Benchmark | None, case: Case, source: Callable[[], Subject]
) -> tuple[Call, Method | Stage, Settled, Given]:
    """The method as it was called, itself, its training settings, and what the user brings. Refused if its rows are not there."""
    called, method, preset = method_of(request, bench)
    settings = training_settings(request, preset)
    others = [e for name, c in (bench.stages if bench else {}).items() if name != request.stage for e in c.train.get("forget", ())]
    given = given_of(request, case.train.get("forget", ()), settings.training.seed, source, others if request.stage else ())
    check_rows(method, case, given, called.name)
    return called, method, settings, given


def planned(request: UnlearnRequest, bench: Benchmark | None, case: Case, subject: Subject) -> Path:
    """Print what a run would cost; nothing is changed."""
    called, method, settings, given = settled(request, bench, case, lambda: subject)
    rows = rows_for(method, case, given, called.name, pretend=True)
    streams = relabelled(method, {name: encoded(subject, examples, request, longest_of(bench)) for name, examples in rows.items()}, given)
    for name, facts in expected(subject, method, streams, settings.training, settings.adapter).items():
        tell(f"{name:<24} {facts}")
    return Path(request.out)


def applied(request: UnlearnRequest, bench: Benchmark | None, case: Case) -> Path:
    """Apply a method to a model with the rows of a case."""
    source = Held(lambda: loaded(request))
    called, method, settings, given = settled(request, bench, case, source)
    if isinstance(given.tools.chat, Remote):
        say(f"texts of the rows go to {given.tools.chat.host}")
    if request.dry_run:
        return planned(request, bench, case, source())
    with open_run(out_of(request), verb="unlearn", request=request.as_json(), overwrite=request.overwrite) as run:
        rows = rows_for(method, case, given, called.name, run.path / "private" / "prepared")
        facts = {"method": called.as_json()} | absent_of(bench)
        return changed(run, request, source, method, rows, settings, facts, given, longest_of(bench))


def changed(
    run: RunFolder,
    request: Any,
    source: Held,
    method: Method | Stage,
    rows: Mapping[str, Examples],
    settings: Settled,
    facts: Mapping[str, Any],
    given: Given = Given(),
    longest: int = 0,
) -> Path:
    """Carry a Method out in a run's folder and publish OUT/model. The model is in memory once: whoever changes it takes it."""
    subject = source()
    check(method, subject, settings.adapter)
    settings = settings.going_on(subject)
    streams = relabelled(method, {name: encoded(subject, examples, request, longest) for name, examples in rows.items()}, given)
    start = {"model": {"source": str(request.model), "digest": subject.digest}, "data": data_facts(rows, salt_of(run.path / "private"))}
    run.agree(**start)
    if not request.quiet:
        say(understood(rows))
    label = request.out if request.verb == "train" else " ".join(filter(None, (request.method.name, request.stage)))
    met = effect.before(subject, streams.get("forget") or streams.get("train") or ())
    left_behind = subject.left_behind
    del subject
    with bar(Path(label).name, steps_of(method, streams, settings.training), quiet=request.quiet) as tick:
        after = change(source.take, method, streams, settings.training, run.path, adapter=settings.adapter, tick=tick)
    made = dict(facts) | {
        "settings": settings.as_json(method),
        "stages": settings.stages_json(method),
        "seed": settings.training.seed,
        "device": str(after.device),
    }
    made |= start | {"label": Path(request.out).name} | ({"left_behind": left_behind} if left_behind else {})
    made |= edits_made(run.path)
    made["effect"] = effect.effect(met, after)
    save(after, run.path / "model", card=model_card(request, made))
    made["result"] = {"digest": digest_folder(run.path / "model")}
    run.finish(**made)
    warn_if_idle(label, made["effect"], "learned" if request.verb == "train" else "unlearned")
    return run.path


def report(request: ReportRequest) -> Path:
    """One HTML file made of finished runs."""
    meanings = {name: registry.member("metrics", name).summary for name in registry.sound("metrics")}
    return write_report([Path(r) for r in request.runs], Path(request.out), show_texts=request.show_texts, meanings=meanings)


def warn_if_idle(label: str, did: Mapping[str, Any], what: str) -> None:
    """One line on standard error if a run did nothing to the model, whatever --quiet says: it ends with exit code 0 all the same, since
    it did what it was asked."""
    if did["nothing"]:
        say(f"warning: {label}: {unmoved(did)}: nothing was {what}; raise --lr or --steps")


# ------------------------------------------------------------------ pieces

ON = ("full", "retain", "forget")


def rows_on(case: Case, on: str) -> Examples:
    """The rows that ``--on`` names: full, retain, forget, or others that the benchmark brings to train on (RESTOR: corrupt).

    ``full`` of plain files is forget and retain together.
    """
    if on not in (*ON, *case.train):
        raise no_choice("--on", on, (*ON, *case.train))
    rows = case.train.get(on) or ((*case.train.get("forget", ()), *case.train.get("retain", ())) if on == "full" else ())
    if not rows:
        raise Refused(f"there are no {on} rows to train on; give them with --{'forget' if on == 'full' else on}")
    return tuple(rows)


def fresh_tiny(case: Case, seed: int, *, own: bool = False) -> Subject:
    """A new tiny Llama with a tokenizer made of the case's texts.

    ``own``: rows of the user's. Frequent words become whole tokens of tokenizer.json, which is published with the model, so
    theirs are taken from the retain rows alone (without any, from sentences that we bring), and gold's tokenizer, the same
    as the original's, holds no word that only a forget or holdout row has.
    """
    roles = [case.train.get("retain", ())] if own else [*case.train.values(), *case.evaluate.values()]
    texts = [t for rows in roles for e in rows for t in (e.prompt, e.answer, e.text, *e.variants.values()) if t]
    texts = texts or list(SENTENCES)
    model, tokenizer = tiny.build(sorted(set(texts)), seed=seed)
    return Subject(model, tokenizer, "tiny", None, digest_tensors(model))


def encoded(subject: Subject, examples: Examples, request: Any, longest: int = 0) -> list[Any]:
    """The rows in tokens. Texts are cut into pieces of ``--max-length``; answers cannot be cut, so they may be ``longest`` long."""
    room = request.max_length or 512
    most = room_for_texts(subject.model, room, examples) if any(e.text is not None for e in examples) else max(room, longest)
    rows = encode(subject.tokenizer, examples, max_length=most)
    check_places(subject.model, rows)
    return rows


def model_card(request: Any, made: Mapping[str, Any]) -> str:
    """README.md of the model: what was done to which model, with digests and numbers but no text of the data."""
    how = made.get("method", {}).get("name") or f"fine-tuning on the {made.get('on')} rows"
    data = ", ".join(f"{name} {facts['n']}" for name, facts in made["data"].items())
    head = "---\nlibrary_name: transformers\ntags: [unlearning]\n---\n"
    lines = [f"# {Path(request.out).name}", "", f"Made by expunge with {how}.", ""]
    start = f"- start: `{made['model']['source']}` (sha256 of its files {made['model']['digest'][:16]})"
    lines += [start, f"- rows: {data}", f"- seed: {made['seed']}"]
    lines += [f"- left behind: {made['left_behind']}"] if "left_behind" in made else []
    lines.append("")
    lines += ["Evidence of forgetting is a measurement, not this card: `expunge eval`. It is never a proof of deletion.", ""]
    return head + "\n".join(lines)
