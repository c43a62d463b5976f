"""The whole story on the built-in case: train, unlearn in several ways, judge, attack, report. Offline, on a CPU, in minutes.

Every piece is a run in a folder of its own, made by the same functions as the commands; two processes of one thread share the work.
A demo that was stopped goes on where it was.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from expunge.core.errors import Failed, Refused
from expunge.core.request import DemoRequest, EvalRequest, ReportRequest, TrainRequest, UnlearnRequest
from expunge.core.types import Call, call

BENCHMARK = "builtin"
WORKERS = 2
RELEARN: dict[str, Any] = {"steps": (5, 10, 20), "share": 0.25, "lr": 5e-4, "batch": 16}
BITS = (8, 4)


@dataclass(frozen=True)
class Choice:
    """A method with arguments and training settings tuned on this very case (seed 0), as a user would tune on theirs."""

    method: Call
    training: dict[str, Any]


METHODS = {
    "grad_diff": Choice(call("grad_diff", forget_weight=0.3), {"lr": 1.5e-3, "steps": 60, "batch": 16}),
    "npo": Choice(call("npo", beta=0.2, retain_weight=10.0), {"lr": 1e-3, "steps": 60, "batch": 16}),
    "simnpo": Choice(call("simnpo", beta=1.0, forget_weight=0.5), {"lr": 1.5e-3, "steps": 60, "batch": 16}),
    "rmu": Choice(call("rmu", layer=2, steering=50.0, retain_weight=20.0, trained="all"), {"lr": 2e-3, "steps": 60, "batch": 16}),
}
COLUMNS = ("forget/probability", "retain/probability", "neighbour/probability", "forget/rouge_l_recall", "model_utility", "privleak")


def demo(request: DemoRequest) -> Path:
    """Tell the story in the terminal; OUT/report.html is the picture book."""
    from rich.console import Console

    out, console, since = Path(request.out), Console(), time.monotonic()
    if request.overwrite:
        _clear(out)
    _check(out, request.seed)
    os.environ["EXPUNGE_CACHE"] = str((out / "cache").resolve())
    console.print(
        f"[bold]Expunge demo[/bold]: invented facts, a tiny Llama that learns them, and {len(METHODS)} ways to make it forget some.\n"
    )
    with ProcessPoolExecutor(WORKERS, multiprocessing.get_context("spawn"), initializer=_prepare) as pool:
        together(pool, "training", [(train, out, name, request.seed) for name in ("original", "gold")], request.quiet)
        together(pool, "unlearning", [(forget, out, name, request.seed) for name in METHODS], request.quiet)
        together(
            pool, "judging and attacking", [(judge, out, name, request.seed) for name in ("original", "gold", *METHODS)], request.quiet
        )
    _tell(console, out)
    made = _report(out, request.show_texts)
    console.print(f"\nreport: {made}   ({time.monotonic() - since:.0f} s)")
    console.print(
        f'ask it yourself: expunge ask --model {out}/npo --against {out}/original "{_question(request.seed)}"',
        highlight=False,
        markup=False,
    )
    return out


def case_of(seed: int) -> str:
    """The built-in case of a seed, as --benchmark names it."""
    return f"{BENCHMARK}:{seed}" if seed else BENCHMARK


def _prepare() -> None:
    """A worker computes on one thread: two spinning beside each other are slower than one.

    What the imports made is set aside from the garbage collector, which else walks it at the start of every training.
    """
    import gc

    import torch

    from expunge import attacking, run

    torch.set_num_threads(1)
    assert attacking and run
    gc.freeze()


def together(pool: ProcessPoolExecutor, label: str, jobs: Sequence[tuple[Any, ...]], quiet: bool) -> None:
    """Run jobs side by side; the first failure ends the demo with its own line, and what is finished stays."""
    from expunge.progress import bar

    with bar(label, len(jobs), quiet=quiet, unit="runs") as tick:
        waiting: list[Future[None]] = [pool.submit(*job) for job in jobs]
        for done in as_completed(waiting):
            try:
                done.result()
            except (Refused, Failed):
                for other in waiting:
                    other.cancel()
                raise
            tick(1)


def once(place: Path, make: Callable[[], Any]) -> None:
    """Make a run unless its folder is finished."""
    from expunge.engine.ledger import read_run

    if not ((place / "run.yaml").exists() and read_run(place).get("status") == "finished"):
        make()


def train(out: Path, name: str, seed: int) -> None:
    """The original (all rows) or gold (never saw the forget rows)."""
    from expunge import run

    on = "retain" if name == "gold" else "full"
    once(
        out / name,
        lambda: run.train(
            TrainRequest(model="tiny", benchmark=case_of(seed), on=on, out=str(out / name), seed=seed, quiet=True, save_every=0)
        ),
    )


def forget(out: Path, name: str, seed: int) -> None:
    """One method on the original."""
    from expunge import run

    choice = METHODS[name]
    made = UnlearnRequest(
        method=choice.method,
        model=str(out / "original"),
        benchmark=case_of(seed),
        out=str(out / name),
        seed=seed,
        quiet=True,
        save_every=0,
        **choice.training,
    )
    once(out / name, lambda: run.unlearn(made))


def judge(out: Path, name: str, seed: int) -> None:
    """The metrics of one model beside gold, then what relearning and rounding bring back."""
    from expunge import attacking, run

    kind = name if name in ("original", "gold") else "unlearned"
    place = out / "judged" / name
    asked = EvalRequest(
        model=str(out / name), gold=str(out / "gold"), benchmark=case_of(seed), out=str(place), label=name, kind=kind, quiet=True
    )
    once(place, lambda: run.evaluate(asked))
    relearn = out / "attacked" / f"{name}-relearn"
    once(relearn, lambda: attacking.relearned(str(out / name), name, case_of(seed), relearn, seed=seed, **RELEARN))
    rounded = out / "attacked" / f"{name}-quantise"
    once(rounded, lambda: attacking.quantised(str(out / name), name, case_of(seed), rounded, bits=BITS))


def _tell(console: Any, out: Path) -> None:
    """Table, recovery and findings of what the folders hold."""
    from expunge.report.findings import findings
    from expunge.report.folders import find
    from expunge.report.terminal import curve_table, table, told

    found = find([out / "judged", out / "attacked"])
    console.print(table(found.subjects, COLUMNS, title="What each model knows", width=console.width))
    for attack in dict.fromkeys(c.attack for c in found.curves):
        curves = [c for c in found.curves if c.attack == attack]
        console.print(curve_table(curves, "forget/probability", found.subjects))
    console.print(told(findings(found.subjects, found.curves)))


def _report(out: Path, show_texts: bool) -> Path:
    from expunge import run

    return run.report(ReportRequest(runs=(str(out),), out=str(out / "report.html"), show_texts=show_texts))


def _question(seed: int) -> str:
    """A forget question of the case, for trying by hand."""
    from expunge.attacking import case_of as read

    return str(read(case_of(seed)).evaluate["forget"][0].prompt)


def _check(out: Path, seed: int) -> None:
    """A demo folder belongs to one seed; another seed's runs would be mixed in silently."""
    from expunge.engine.ledger import checked, read_run

    checked(out)
    kept = out / "original" / "run.yaml"
    if kept.exists() and (read_run(kept).get("request") or {}).get("seed", 0) != seed:
        raise Refused(f"{out} holds a demo with another seed; pass --overwrite or take another --out")
    if out.exists() and any(out.iterdir()) and not (out / "original").exists():
        raise Refused(f"{out} is not empty and holds no demo; take another --out")
    out.mkdir(parents=True, exist_ok=True)


def _clear(out: Path) -> None:
    import shutil

    if (out / "original").exists():
        shutil.rmtree(out)
