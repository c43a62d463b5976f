# ruff: noqa: F403, F405 (the options that verbs share come all together)
"""The command line: turns words into one request and hands it on. Knows no tensor; heavy imports wait until the verb is known."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, Any, NoReturn

import typer

from expunge import registry
from expunge.cli.auto import auto
from expunge.cli.cache import cache
from expunge.cli.exit_codes import ended
from expunge.cli.method_arguments import dashed, method_of, own, own_help, prepare_threads, repeated
from expunge.cli.options import *
from expunge.core.card import Call
from expunge.core.errors import Refused, listed, no_choice
from expunge.core.escape import tell
from expunge.core.request import AskRequest, BenchRequest, DemoRequest, EvalRequest, ReportRequest, TrainRequest, UnlearnRequest

app = typer.Typer(
    name="expunge",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    cls=Verbs,
    context_settings={"max_content_width": WIDEST},
)


def show_path(path: Any) -> None:
    """Where the result is."""
    tell(path)


@app.callback()
def verbs(
    version: Version = False,
) -> None:
    """Make a language model forget what it must forget, keep what it should keep, and measure which of the two happened."""


@app.command()
def demo(
    out: Out = "expunge-demo",
    seed: Annotated[int, opt(help="another number gives another case", min=0)] = 0,
    overwrite: Over = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """The whole story on the built-in case: train, unlearn, evaluate, attack, report (offline, on a CPU, in minutes).

    Example: expunge demo --out expunge-demo
    """
    request = DemoRequest(**options(locals()))
    from expunge.experiments.demo import demo as tell

    tell(request)


@app.command("list")
def list_(
    room: Annotated[str, typer.Argument(help="methods, guards, attacks, metrics or benchmarks; all if left away")] = "",
    as_json: Annotated[bool, opt("--json", help="one JSON array")] = False,
) -> None:
    """What there is.

    Example: expunge list methods
    """
    from expunge.cli.listing import as_rows, print_rooms

    if room and room not in registry.ROOMS and registry.rooms_of(room):
        raise Refused(f"{room} is no kind ({listed(registry.ROOMS)}) but one of the {registry.rooms_of(room)[0]}: expunge show {room}")
    rooms = [room] if room else [r for r in registry.ROOMS if registry.names(r)]
    if as_json:
        import json

        typer.echo(json.dumps([row for r in rooms for row in as_rows(r)], indent=1, ensure_ascii=False))
    else:
        print_rooms(rooms)


@app.command()
def show(name: Annotated[str, typer.Argument(help="a method, guard, attack, metric or benchmark (tofu, or tofu:forget01)")]) -> None:
    """What one member is: its source, arguments, published settings and numbers, and what is known of it.

    Example: expunge show npo
    """
    from expunge.cli.listing import page

    name, _, split = name.partition(":")
    for room in registry.rooms_of(name) or registry.refuse(name):
        tell(page(room, name, split=split))


@app.command()
def train(
    model: Model = "",
    benchmark: Bench = "",
    forget: Forget = "",
    retain: Retain = "",
    holdout: Holdout = "",
    on: Annotated[str, opt(help="full (the original), retain (gold: never saw the forget rows) or forget; restor: corrupt")] = "full",
    out: Out = "",
    data: Data = "",
    subset: Subset = "",
    columns: Columns = "",
    allow_overlap: Overlap = "",
    max_length: Length = 512,
    lr: Lr = None,
    epochs: Epochs = None,
    steps: Steps = None,
    batch: Batch = None,
    accumulate: Accumulate = None,
    schedule: Schedule = None,
    warmup: Warmup = None,
    weight_decay: Decay = None,
    clip: Clip = None,
    seed: Seed = None,
    save_every: SaveEvery = None,
    lora: Lora = None,
    lora_alpha: LoraAlpha = None,
    lora_targets: LoraTargets = None,
    lora_dropout: LoraDropout = None,
    optimiser: Optimiser = None,
    overwrite: Over = False,
    threads: Threads = None,
    dtype: Dtype = "auto",
    device: Device = "auto",
    trust_remote_code: Trust = False,
    quiet: Quiet = False,
    debug: Debug = False,
    from_: Annotated[str, opt("--from", help="repeat the run of this run.yaml")] = "",
) -> None:
    """Fine-tune a model: the original on all rows, or gold on the rows to keep. --model tiny makes a small Llama on the spot.

    Example: expunge train --model tiny --benchmark builtin --on retain --out runs/gold
    """
    request = TrainRequest(**options(locals()))
    request = repeated(request, from_) if from_ else request
    if not request.model:
        raise Refused("which model? give --model tiny, a folder, or owner/name")
    if request.on not in ("full", "retain", "forget") and not request.benchmark:  # a benchmark may have others
        raise no_choice("--on", request.on, ("full", "retain", "forget"))
    from expunge.pipeline import run

    show_path(run.train(request))


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True}, add_help_option=False)
def unlearn(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="METHOD", help="a method: expunge list methods")] = "",
    model: Model = "",
    benchmark: Bench = "",
    forget: Forget = "",
    retain: Retain = "",
    holdout: Holdout = "",
    stage: OneStage = "",
    out: Out = "",
    preset: Annotated[str, opt(help="take the settings that a paper published for this benchmark")] = "",
    dry_run: Annotated[bool, opt("--dry-run", help="print rows, tokens, passes, memory and time expected; change nothing")] = False,
    data: Data = "",
    subset: Subset = "",
    columns: Columns = "",
    allow_overlap: Overlap = "",
    max_length: Length = 512,
    lr: Lr = None,
    epochs: Epochs = None,
    steps: Steps = None,
    batch: Batch = None,
    accumulate: Accumulate = None,
    schedule: Schedule = None,
    warmup: Warmup = None,
    weight_decay: Decay = None,
    clip: Clip = None,
    seed: Seed = None,
    save_every: SaveEvery = None,
    lora: Lora = None,
    lora_alpha: LoraAlpha = None,
    lora_targets: LoraTargets = None,
    lora_dropout: LoraDropout = None,
    optimiser: Optimiser = None,
    alternate: Alternate = "",
    world: World = "",
    refusals: Refusals = "",
    chat: ChatModel = "",
    names: Names = "",
    anchors: Anchors = "",
    domain: Domain = "",
    overwrite: Over = False,
    threads: Threads = None,
    dtype: Dtype = "auto",
    device: Device = "auto",
    trust_remote_code: Trust = False,
    quiet: Quiet = False,
    debug: Debug = False,
    from_: Annotated[str, opt("--from", help="repeat the run of this run.yaml")] = "",
    help: Annotated[bool, opt("--help", help="show this and the method's own arguments")] = False,
) -> None:
    """Apply a method to a model. The method's own arguments are options too: expunge show METHOD.

    Example: expunge unlearn npo --model runs/full --benchmark tofu:forget10 --beta 0.5 --out runs/npo
    """
    if help:
        typer.echo(ctx.get_help())
        if name:
            typer.echo("\n" + own_help(name))
        return
    given = options({k: v for k, v in locals().items() if k != "help"})
    rest = [name, *ctx.args] if name else ctx.args
    name, arguments = own(rest, [p.name for p in ctx.command.params if p.name and p.name != "name"], method_of(from_))
    if not name:
        raise Refused("which method? expunge unlearn METHOD; `expunge list methods` shows them")
    request = UnlearnRequest(**given, method=Call(name, arguments))
    request = repeated(request, from_) if from_ else request
    if not request.model:
        raise Refused("which model? give --model with a folder or owner/name")
    from expunge.pipeline import run

    made = run.unlearn(request)
    if not request.dry_run:
        show_path(made)


@app.command("eval")
def eval_(
    model: Model = "",
    gold: Annotated[str, opt(help="a model trained without the forget rows; several seeds, separated by commas, are better")] = "",
    original: Annotated[str, opt(help="the model before unlearning; aus needs it")] = "",
    shadow: Annotated[str, opt(help="other seeds of the same unlearning, separated by commas, for mia_lira and klom")] = "",
    benchmark: Bench = "",
    stage: OneStage = "",
    forget: Forget = "",
    retain: Retain = "",
    holdout: Holdout = "",
    out: Out = "",
    metrics: Annotated[str, opt(help="only these, separated by commas: expunge list metrics")] = "",
    label: Annotated[str, opt(help="what the report calls this model")] = "",
    kind: Annotated[str, opt(help="what it is in the report: original, gold or unlearned")] = "",
    from_log: Annotated[str, opt("--from-log", help="numbers from an open-unlearning or TOFU evaluation log, without a model")] = "",
    gold_log: Annotated[str, opt("--gold-log", help="the log of the model trained without the forget rows")] = "",
    encoder: Annotated[str, opt(help="folder of a sentence encoder, for semantic_similarity")] = "",
    nli: Annotated[str, opt(help="folder of a model of language inference, for entailment and knowledge_forgetting")] = "",
    gibberish: Annotated[str, opt(help="folder of a classifier of gibberish, for the metric of that name")] = "",
    mlm: Annotated[str, opt(help="folder of a masked language model, for mia_neighbourhood")] = "",
    format: Annotated[str, opt(help="open-unlearning: also write its JSON log to OUT/private")] = "",
    lm_eval: Annotated[str, opt("--lm-eval", help="tasks of lm-evaluation-harness, or their .yaml files, separated by commas")] = "",
    lm_limit: Annotated[int, opt("--lm-limit", help="rows of each of those tasks; 0 for all", min=0)] = 0,
    no_texts: Annotated[bool, opt("--no-texts", help="drop generated texts after scoring")] = False,
    data: Data = "",
    subset: Subset = "",
    columns: Columns = "",
    allow_overlap: Overlap = "",
    max_length: Length = 512,
    overwrite: Over = False,
    threads: Threads = None,
    dtype: Dtype = "auto",
    device: Device = "auto",
    trust_remote_code: Trust = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Judge a model: every metric of the benchmark with n and an interval, from shared passes.

    Example: expunge eval --model runs/npo --gold runs/gold --benchmark tofu:forget10 --out runs/npo-eval
    """
    if kind not in ("", "original", "gold", "unlearned"):
        raise no_choice("--kind", kind, ("original", "gold", "unlearned"))
    if format not in ("", "open-unlearning"):
        raise no_choice("--format", format, ("open-unlearning",))
    given = options(locals())
    several = {"metrics": metrics, "lm_eval": lm_eval}
    request = EvalRequest(**given | {name: tuple(w for w in words.split(",") if w) for name, words in several.items()})
    from expunge.cli.console import comparison, measurements, others
    from expunge.pipeline import run

    if bool(request.model) == bool(request.from_log):
        raise Refused("what to judge? give either --model or --from-log")
    folder = run.evaluate_log(request) if request.from_log else run.evaluate(request)
    measurements(folder)
    comparison(folder)
    others(request.benchmark or "", None if request.from_log else request.subset or "")


@app.command()
def ask(
    question: Annotated[str, typer.Argument(help="what to ask")],
    model: Model = "",
    against: Annotated[str, opt(help="a second model to ask the same")] = "",
    max_new_tokens: Annotated[int, opt(help="longest answer", min=1, max=4096)] = 64,
    raw: Annotated[
        bool | None,
        opt("--raw/--no-raw", help="the question is the beginning of a plain text that goes on; default: as the model was trained"),
    ] = None,
    samples: Annotated[int, opt(help="answers drawn beside the greedy one", min=0, max=1000)] = 0,
    answer: Annotated[str, opt(help="an answer whose probability is told: of all of it, and per token")] = "",
    threads: Threads = None,
    dtype: Dtype = "auto",
    device: Device = "auto",
    trust_remote_code: Trust = False,
    debug: Debug = False,
) -> None:
    """Ask a model, or two side by side: before and after.

    Example: expunge ask --model runs/npo --against runs/full "Where does Basil Mahfouz Al-Kuwaiti live?"
    """
    if not model:
        raise Refused("which model? give --model with a folder or owner/name")
    if not question.strip():
        raise Refused("ask what? the question is empty; write it in quotes")
    request = AskRequest(**options(locals()))
    from expunge.cli.console import answers
    from expunge.pipeline import run

    answers(request.question, run.ask(request))


@app.command()
def report(
    runs: Annotated[list[str], typer.Argument(help="finished run folders, or a folder of them")],
    out: Annotated[str, opt(help="the HTML file to write")] = "report.html",
    show_texts: Annotated[bool, opt("--show-texts", help="include questions and answers; they may be what was to be forgotten")] = False,
    debug: Debug = False,
) -> None:
    """One HTML file from finished runs: trade-off plot, table with intervals, recovery curves, losses, how it was made.

    Example: expunge report runs --out report.html
    """
    from expunge.pipeline import run

    show_path(run.report(ReportRequest(runs=tuple(runs), out=out, show_texts=show_texts)))


@app.command()
def bench(
    plan: Annotated[str, typer.Argument(help="a YAML file with methods, seeds, benchmark ...; options stand over it")] = "",
    methods: Annotated[str, opt(help="names separated by commas, or all")] = "",
    benchmark: Bench = "",
    seeds: Annotated[str, opt(help="such as 0,1,2; on the built-in benchmark a seed is a case of its own")] = "",
    out: Out = "",
    model: Model = "",
    gold: Annotated[str, opt(help="a model trained without the forget rows")] = "",
    data: Data = "",
    world: World = "",
    chat: ChatModel = "",
    budget: Annotated[
        Whole, opt(help="optimizer steps at equal budget; 0 leaves that comparison away; with --meta: steps of every training", min=0)
    ] = None,
    level: Annotated[Number, opt(help="share of the original's retain probability that counts as equal utility")] = None,
    executor: Annotated[str, opt(help="local processes, or ray")] = "",
    workers: Annotated[Whole, opt(help="processes of one thread each", min=1)] = None,
    keep_models: Annotated[bool, opt("--keep-models", help="keep the unlearned model of every cell")] = False,
    meta: Annotated[bool, opt("--meta", help="judge the metrics: on models that know, never knew, or only hide what they know")] = False,
    metrics: Annotated[str, opt(help="with --meta: metrics separated by commas (default: all)")] = "",
    overwrite: Annotated[bool, opt("--overwrite", help="make every cell anew")] = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Compare methods over seeds: at their settings, at equal utility and at equal budget. Run it again to go on where it stopped.

    Example: expunge bench --methods npo,simnpo,grad_diff --benchmark builtin --seeds 0,1,2 --out runs/bench
    """
    request = BenchRequest(**options(locals()))
    if meta:
        from expunge.experiments.meta_evaluation.run import meta as compare
    else:
        from expunge.experiments.sweep.run import bench as compare

        if metrics:
            raise Refused("--metrics is for --meta; a bench has its own")
    show_path(compare(request))


app.command()(auto)
app.command()(cache)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command and exit: 0 done, 1 failed while running, 2 the request was wrong, 130 interrupted."""
    words = dashed(sys.argv[1:] if arguments is None else arguments)
    prepare_threads(words)
    sys.exit(ended(lambda: app(words, prog_name="expunge", standalone_mode=False), debug="--debug" in words))
