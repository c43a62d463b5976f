"""Progress of long work: a bar on a terminal, a line now and then elsewhere, nothing when quiet."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from expunge.core.escape import say, terminal

Tick = Callable[[int], None]
EVERY = 20.0  # seconds between lines where no terminal redraws them


@contextmanager
def bar(label: str, total: int, *, quiet: bool = False, unit: str = "steps") -> Iterator[Tick]:
    """``with bar("npo", 200) as tick: tick(1)``; shown on standard error."""
    if quiet or total <= 0:
        yield lambda n: None
    elif sys.stderr.isatty():
        with _rich(label, total, unit) as tick:
            yield tick
    else:
        yield from _lines(label, total, unit)


@contextmanager
def _rich(label: str, total: int, unit: str) -> Iterator[Tick]:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description:<28}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=terminal(stderr=True), refresh_per_second=5) as progress:
        task = progress.add_task(label, total=total)
        yield lambda n: progress.advance(task, n)


def _lines(label: str, total: int, unit: str) -> Iterator[Tick]:
    start = last = time.monotonic()
    done = 0

    def tick(n: int) -> None:
        nonlocal last, done
        done += n
        now = time.monotonic()
        if now - last >= EVERY:
            last = now
            left = (now - start) / max(done, 1) * (total - done)
            say(f"{label}: {done}/{total} {unit}, {now - start:.0f} s, about {left:.0f} s left")

    yield tick
    say(f"{label}: {done}/{total} {unit}, {time.monotonic() - start:.0f} s")
