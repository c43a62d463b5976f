"""The verbs: each takes one request and hands it on.

Knows no tensor; heavy imports wait until the verb is known.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import NoReturn

import typer

from expunge import registry
from expunge.cli.exit_codes import ended
from expunge.cli.method_arguments import dashed, prepare_threads
from expunge.cli.options import Verbs, Version, command
from expunge.cli.wrapping import WIDEST, terminal_width, wrapped
from expunge.core.attack_request import AttackRequest
from expunge.core.errors import Refused, listed, no_choice
from expunge.core.escape import tell
from expunge.core.guard_request import GuardRequest
from expunge.core.requests import (
    AskRequest,
    AutoRequest,
    BenchRequest,
    CacheRequest,
    DemoRequest,
    EvalRequest,
    ListRequest,
    ReportRequest,
    ShowRequest,
    TrainRequest,
    UnlearnRequest,
)

app = typer.Typer(
    name="expunge",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    cls=Verbs,
    context_settings={"max_content_width": WIDEST},
)
ON = ("full", "retain", "forget")
WHICH_MODEL = "which model? give --model with a folder or owner/name"


@app.callback()
def verbs(
    version: Version = False,
) -> None:
    """Make a language model forget what it must forget, keep what it should keep, and measure which
    of the two happened.
    """


@command(app, DemoRequest)
def demo(request: DemoRequest) -> None:
    """Tell the whole story."""
    from expunge.experiments.demo import demo

    demo(request)


@command(app, ListRequest)
def list_members(request: ListRequest) -> None:
    """Print the members of one room or of all."""
    from expunge.cli.listing import as_rows, print_rooms

    room = request.room
    if room and room not in registry.ROOMS and registry.rooms_of(room):
        raise Refused(
            f"{room} is no kind ({listed(registry.ROOMS)}) but one of the "
            f"{registry.rooms_of(room)[0]}: expunge show {room}"
        )
    if room:
        rooms = [room]
    else:
        rooms = [r for r in registry.ROOMS if registry.names(r)]
    if not request.json:
        print_rooms(rooms)
        return
    typer.echo(json.dumps([row for r in rooms for row in as_rows(r)], indent=1, ensure_ascii=False))


@command(app, ShowRequest)
def show(request: ShowRequest) -> None:
    """Print the page of a member."""
    from expunge.cli.listing import page

    name, _, split = request.name.partition(":")
    for room in registry.rooms_of(name) or registry.refuse(name):
        tell(wrapped(page(room, name, split=split), terminal_width()))


@command(app, TrainRequest)
def train(request: TrainRequest) -> None:
    """Fine-tune a model."""
    if not request.model:
        raise Refused("which model? give --model tiny, a folder, or owner/name")
    if request.on not in ON and not request.benchmark:  # a benchmark may have others
        raise no_choice("--on", request.on, ON)
    from expunge.pipeline.train import run_train

    tell(run_train(request))


@command(app, UnlearnRequest)
def unlearn(request: UnlearnRequest) -> None:
    """Apply a method to a model."""
    if not request.method.name:
        raise Refused("which method? expunge unlearn METHOD; `expunge list methods` shows them")
    if not request.model:
        raise Refused(WHICH_MODEL)
    from expunge.pipeline.unlearn import run_unlearn

    made = run_unlearn(request)
    if not request.dry_run:
        tell(made)


@command(app, EvalRequest)
def evaluate(request: EvalRequest) -> None:
    """Judge a model, or read the numbers of another program's log."""
    if bool(request.model) == bool(request.from_log):
        raise Refused("what to judge? give either --model or --from-log")
    from expunge.cli.console import comparison, measurements, others
    from expunge.pipeline.evaluate import run_evaluate, run_evaluate_log

    folder = run_evaluate_log(request) if request.from_log else run_evaluate(request)
    measurements(folder)
    comparison(folder)
    others(request.benchmark, None if request.from_log else request.subset)


@command(app, AttackRequest)
def attack(request: AttackRequest) -> None:
    """Attack a model with growing strength."""
    from expunge.cli.console import attacked
    from expunge.pipeline.attack import attack as carry_out

    attacked(carry_out(request))


@command(app, GuardRequest)
def guard(request: GuardRequest) -> None:
    """Put a guard before a model."""
    if not request.guard.name:
        raise Refused("which guard? expunge guard NAME; `expunge list guards` shows them")
    if not request.model:
        raise Refused(WHICH_MODEL)
    from expunge.pipeline.guard import run_guard

    tell(run_guard(request))


@command(app, AskRequest)
def ask(request: AskRequest) -> None:
    """Ask a model, or two."""
    if not request.model:
        raise Refused(WHICH_MODEL)
    if not request.question.strip():
        raise Refused("ask what? the question is empty; write it in quotes")
    from expunge.cli.console import answers
    from expunge.pipeline.ask import ask as asked

    answers(request.question, asked(request))


@command(app, ReportRequest)
def report(request: ReportRequest) -> None:
    """Write the report of finished runs."""
    from expunge.pipeline.report import run_report

    tell(run_report(request))


@command(app, BenchRequest)
def bench(request: BenchRequest) -> None:
    """Compare methods, or judge metrics."""
    if request.meta:
        from expunge.experiments.meta_evaluation.run import meta as compare
    else:
        from expunge.experiments.sweep.run import bench as compare

        if request.metrics:
            raise Refused("--metrics is for --meta; a bench has its own")
    tell(compare(request))


@command(app, AutoRequest)
def auto(request: AutoRequest) -> None:
    """Choose a method within a budget."""
    if not request.model:
        raise Refused(WHICH_MODEL)
    if (request.budget is None) == (request.minutes is None):
        raise Refused(
            "how much may be spent? give either --budget STEPS or --minutes M; the search is "
            "included"
        )
    from expunge.experiments.tuning.verb import auto as choose
    from expunge.experiments.tuning.words import print_table

    print_table(choose(request))
    tell(request.out)


@command(app, CacheRequest)
def cache(request: CacheRequest) -> None:
    """Tell what is kept for reuse, or remove it."""
    from expunge.evaluation.cache import clear, place, size

    folder = place()
    if folder is None:
        tell("EXPUNGE_CACHE is not set: no passes are kept")
    elif request.action == "clear":
        tell(f"{clear()} passes removed")
    else:
        kept, held = size()
        tell(f"{folder}: {kept} passes, {held / 1e6:.1f} MB; expunge cache clear removes them")


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command and exit: 0 done, 1 failed while running, 2 the request was wrong, 130
    interrupted.
    """
    words = dashed(sys.argv[1:] if arguments is None else arguments)
    prepare_threads(words)
    sys.exit(
        ended(
            lambda: app(words, prog_name="expunge", standalone_mode=False), debug="--debug" in words
        )
    )
