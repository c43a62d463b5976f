"""What commands print: a run's measurements, answers side by side.

Control characters of a model's text never reach the terminal.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from expunge.core.escape import escaped, print_error, tell, terminal
from expunge.core.results import Measurement
from expunge.report.parse import read_measurements

if TYPE_CHECKING:
    from rich.console import Console

    from expunge.pipeline.ask import Answered


def plain(text: str) -> str:
    """The text on one line, as the terminal may have it (a model can write escape codes too); line
    breaks become spaces.
    """
    return escaped("".join(" " if c in "\r\n\t" else c for c in text))


def measurements(folder: Path) -> None:
    """The measurements of a finished run as a table, and where they are; of a run in stages a
    column for each.
    """
    from expunge.report.terminal import listing

    console = terminal()
    if not (folder / "measurements.json").exists():
        return stages(folder, console)
    found = read_measurements(folder / "measurements.json") or {}
    console.print(
        listing(found, title=escaped(folder.name), gold=(folder / "comparison.json").exists())
    )
    for line in (*operating_points(found), *by_length(found)):
        console.print(line, style="dim", highlight=False, markup=False)
    console.print(escaped(folder / "measurements.json"), style="dim", highlight=False, markup=False)


def attacked(folder: Path) -> None:
    """What a finished attack brought back: a table for each measurement, what follows from them,
    and where they are.
    """
    from expunge.report.parse import read_curves
    from expunge.report.recovery import Recovery, recovery_table

    found = Recovery(read_curves(folder / "curves.json"))
    console = terminal()
    for key in found.model.series:
        console.print(recovery_table(found, key))
    for line in found.conclusions():
        console.print(line, highlight=False, markup=False)
    console.print(escaped(folder / "curves.json"), style="dim", highlight=False, markup=False)


def stages(folder: Path, console: Console) -> None:
    """The measurements of each stage side by side, and where they are."""
    from rich import box
    from rich.table import Table

    from expunge.report.format import NONE, phrase, value
    from expunge.runs.folder import read_run

    inner = read_run(folder)["stages"]
    found = {
        name: read_measurements(folder / place / "measurements.json") or {}
        for name, place in inner.items()
    }
    sheet = Table(
        box=box.SIMPLE_HEAD, pad_edge=False, title=escaped(folder.name), title_justify="left"
    )
    sheet.add_column("measurement", overflow="fold")
    for name in found:
        sheet.add_column(escaped(name), justify="right")
    for key in dict.fromkeys(k for some in found.values() for k in some):
        sheet.add_row(
            phrase(key), *(value(some[key]) if key in some else NONE for some in found.values())
        )
    console.print(sheet)
    for place in inner.values():
        console.print(
            escaped(folder / place / "measurements.json"),
            style="dim",
            highlight=False,
            markup=False,
        )


def operating_points(found: Mapping[str, Measurement]) -> Iterator[str]:
    """What membership scores tell where few false alarms are allowed, a line each.

    It also says where there are too few holdout rows for a false positive rate.
    """
    from expunge.report.format import phrase

    for key, m in found.items():
        rates = [_rate(m.parts, f) for f in ("0.01", "0.05")]
        words = [rate for rate in rates if rate]
        if "least_fpr" in m.parts:
            rows = 1 / m.parts["least_fpr"]
            words.append(f"{rows:.0f} holdout rows are too few for 1 %")
        if words:
            yield f"{phrase(key)}, true positives by false positives: {', '.join(words)}"


def _rate(parts: Mapping[str, float], at: str) -> str:
    """The true positive rate at a false positive rate, with its interval; empty without one."""
    from expunge.report.format import number

    value = parts.get(f"tpr/{at}")
    if value is None:
        return ""
    low = parts.get(f"tpr/{at}/low")
    high = parts.get(f"tpr/{at}/high")
    words = number(value)
    if low is not None and high is not None:
        words += f" ({number(low)}–{number(high)})"
    return f"{words} at {float(at):.0%}"


def by_length(found: Mapping[str, Measurement]) -> Iterator[str]:
    """What metrics of plain texts read when less or more of each text is given, a line each."""
    from expunge.report.format import number, phrase

    for key, m in found.items():
        if "prefix_tokens" not in m.parts:
            continue
        others = {
            "a quarter": m.parts.get("prefix/quarter"),
            "three quarters": m.parts.get("prefix/three_quarters"),
        }
        told = []
        for name, v in others.items():
            if v is not None:
                told.append(f"{number(v)} by {name}")
        if m.parts.get("too_short"):
            short = f", {m.parts['too_short']:.0f} texts too short"
        else:
            short = ""
        beginning = f"texts asked by their first half (mean {m.parts['prefix_tokens']:.0f} tokens)"
        yield f"{phrase(key)}: {beginning}{short}{'; ' if told else ''}{', '.join(told)}"


def comparison(folder: Path) -> None:
    """What comparison.json says, if gold was given."""
    from expunge.report.beside import beside_gold
    from expunge.report.parse import read_comparison

    found = read_comparison(folder / "comparison.json")
    if found:
        terminal().print(beside_gold(found))


def others(benchmark: str, subset: str | None = "") -> None:
    """Where to read what others measured on the benchmark, if anything is known, and whether they
    measured as this run did.

    ``subset``: that of the run; None if it read another's log, whose protocol is its own.
    """
    from expunge import registry
    from expunge.cli.listing import published_of

    name, _, rest = benchmark.partition(":")
    split, _, given = rest.partition(":")
    found = published_of(registry.member("benchmarks", name), split) if name else None
    if found is None:
        return
    if found.subset:
        how = f"--subset {found.subset} asks and scores as they did"
    else:
        how = "without --subset it is asked as they did"
    if subset is None:
        how = ""
    elif (given or subset) == found.subset:
        how = f" ({found.protocol})"
    else:
        how = f" (measured otherwise: {how})"
    line = (
        f"published numbers of large models: expunge show {name}{':' if split else ''}{split}{how}"
    )
    terminal().print(line, style="dim", highlight=False, markup=False, soft_wrap=True)


def answers(question: str, said: Sequence[Answered]) -> None:
    """The answers of one or two models to a question, one under the other.

    Below each: the samples that were drawn, and how likely the given answer is.
    """
    width = max(8, *(len(a.source) for a in said))

    def line(name: str, words: str) -> None:
        tell(f"{plain(name):<{width}}  {words}")

    line("question", plain(question))
    for a in said:
        if a.how:
            print_error(plain(a.how))
        line(a.source, plain(a.text) or "(nothing)")
        for i, text in enumerate(a.samples, 1):
            line("", f"drawn {i}: {plain(text) or '(nothing)'}")
        if a.chance:
            tokens = f"{a.chance.tokens} token{'s' * (a.chance.tokens != 1)}"
            each = f"{a.chance.per_token:.3g} per token over {tokens}"
            line("", f"probability of the --answer: {chance(a.chance.logp)}, {each}")


def chance(logp: float) -> str:
    """exp(logp) as people read it, however small: ``0.83``, ``1.2e-05``, ``1e-412``."""
    if logp > -600:
        return f"{math.exp(logp):.3g}"
    return f"1e{logp / math.log(10):.0f}"
