"""The whole story on the built-in case: train, unlearn in several ways, judge, attack, report.

Offline, on a CPU, in minutes.

Every piece is a run in a folder of its own, made by the same functions as the commands; two
processes of one thread share the work. A demo that was stopped goes on where it was.
"""

from __future__ import annotations

import os
import time
from functools import partial
from pathlib import Path
from typing import Any

from expunge.core.attack_request import AttackRequest
from expunge.core.card import call
from expunge.core.errors import Refused
from expunge.core.escape import terminal
from expunge.core.requests import DemoRequest, EvalRequest, ReportRequest, UnlearnRequest
from expunge.experiments.sweep.pool import pool, together
from expunge.experiments.sweep.recipe import BUILTIN as BENCHMARK
from expunge.experiments.sweep.recipe import benchmark_for, trained
from expunge.runs.folder import once, read_run
from expunge.runs.workplace import workplace

WORKERS = 2
# at their cards' settings for the built-in case, tuned there as a user would on theirs
METHODS = ("grad_diff", "npo", "simnpo", "rmu")
# those that change the weights or the question; what is drawn costs as much as all of them together
ATTACKS = ("quantize", "relearn", "reword")
# what --overwrite removes, and no more
MADE = ("original", "gold", *METHODS, "judged", "attacked", "cache", "report.html")
COLUMNS = (
    "forget/probability",
    "retain/probability",
    "neighbour/probability",
    "forget/rouge_l_recall",
    "model_utility",
    "privleak",
)


def demo(request: DemoRequest) -> Path:
    """Print what happened in the terminal; OUT/report.html has the plots."""
    out = Path(request.out)
    console = terminal()
    since = time.monotonic()
    with workplace(out, "demo", clears=MADE, overwrite=request.overwrite):
        _check(out, request.seed)
        return _told(request, out, console, since)


def _told(request: DemoRequest, out: Path, console: Any, since: float) -> Path:
    os.environ["EXPUNGE_CACHE"] = str((out / "cache").resolve())
    console.print(
        f"[bold]Expunge demo[/bold]: invented facts, a tiny Llama that learns them, and "
        f"{len(METHODS)} ways to make it forget some.\n",
        markup=True,
    )
    with pool(WORKERS) as workers:
        together(
            workers,
            "training",
            [(train, out, name, request.seed) for name in ("original", "gold")],
            request.quiet,
        )
        together(
            workers,
            "unlearning",
            [(forget, out, name, request.seed) for name in METHODS],
            request.quiet,
        )
        every = ("original", "gold", *METHODS)
        together(
            workers,
            "judging and attacking",
            [(judge, out, name, request.seed) for name in every],
            request.quiet,
        )
    _tell(console, out)
    made = _report(out, request.show_texts)
    console.print(f"\nreport: {made}   ({time.monotonic() - since:.0f} s)")
    console.print(
        f"ask it yourself: expunge ask --model {out}/npo --against {out}/original "
        f'"{_question(request.seed)}"',
        highlight=False,
        markup=False,
    )
    return out


def case_of(seed: int) -> str:
    """The built-in case of a seed, as --benchmark names it."""
    return benchmark_for(BENCHMARK, seed)


def train(out: Path, name: str, seed: int) -> None:
    """The original (all rows) or gold (never saw the forget rows)."""
    trained(out / name, case_of(seed), seed, gold=name == "gold")


def forget(out: Path, name: str, seed: int) -> None:
    """One method on the original."""
    from expunge.pipeline.unlearn import run_unlearn

    made = UnlearnRequest(
        method=call(name),
        model=str(out / "original"),
        benchmark=case_of(seed),
        out=str(out / name),
        seed=seed,
        quiet=True,
        save_every=0,
    )
    once(out / name, lambda: run_unlearn(made))


def judge(out: Path, name: str, seed: int) -> None:
    """The metrics of one model beside gold, then what attacks bring back."""
    from expunge.pipeline.attack import attack
    from expunge.pipeline.evaluate import run_evaluate

    kind = name if name in ("original", "gold") else "unlearned"
    place = out / "judged" / name
    gold = "" if name == "gold" else str(out / "gold")  # beside itself it would tell nothing
    model = str(out / name)
    case = case_of(seed)
    asked = EvalRequest(
        model=model, gold=gold, benchmark=case, out=str(place), label=name, kind=kind, quiet=True
    )
    once(place, lambda: run_evaluate(asked))
    # gold is attacked in a folder of its own, once for all methods
    for member in ATTACKS:
        place = out / "attacked" / f"{name}-{member}"
        tried = AttackRequest(
            attack=call(member),
            model=model,
            benchmark=case,
            out=str(place),
            label=name,
            kind=kind,
            seed=seed,
            quiet=True,
        )
        once(place, partial(attack, tried))


def _tell(console: Any, out: Path) -> None:
    """Table, recovery and findings of what the folders hold."""
    from expunge.report.findings import findings
    from expunge.report.load import find
    from expunge.report.terminal import curve_table, table, told

    found = find([out / "judged", out / "attacked"])
    console.print(
        table(found.subjects, COLUMNS, title="What each model knows", width=console.width)
    )
    for attack in dict.fromkeys(c.attack for c in found.curves):
        curves = [c for c in found.curves if c.attack == attack]
        console.print(curve_table(curves, "forget/probability", found.subjects))
    console.print(told(findings(found.subjects, found.curves)))


def _report(out: Path, show_texts: bool) -> Path:
    from expunge.pipeline.report import run_report

    return run_report(
        ReportRequest(runs=(str(out),), out=str(out / "report.html"), show_texts=show_texts)
    )


def _question(seed: int) -> str:
    """A forget question of the case, for trying by hand."""
    from expunge.pipeline.settings import benchmark_of

    bench = benchmark_of(UnlearnRequest(benchmark=case_of(seed)))
    assert bench is not None
    return str(bench.case.evaluate["forget"][0].prompt)


def _check(out: Path, seed: int) -> None:
    """A demo folder belongs to one seed; another seed's runs would be mixed in silently."""
    kept = out / "original" / "run.yaml"
    if kept.exists() and (read_run(kept).get("request") or {}).get("seed", 0) != seed:
        raise Refused(
            f"{out} holds a demo with another seed; pass --overwrite or take another --out"
        )
