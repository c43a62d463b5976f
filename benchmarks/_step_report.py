"""The table of benchmarks/step_time.py and what its columns mean."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from _common import asked

from expunge.report.markdown import table

HEAD = (
    "method",
    "ratio",
    "spread",
    "reach",
    "",
    "limit",
    "x limit",
    "ours ms",
    "plain ms",
    "plain",
    "rows",
    "tokens",
    "padded",
    "caching",
)


def line(m: Mapping[str, Any], reach: float) -> list[str]:
    """A line of the table."""
    verdict = "reached" if m["ratio"] <= reach else "MISSED"
    cells = [
        m["method"],
        f"{m['ratio']:.2f}",
        f"{m['low']:.2f}-{m['high']:.2f}",
        f"{reach:.2f}",
        verdict,
    ]
    cells += [
        f"{m['limit']:.2f}",
        f"{m['ratio'] / m['limit']:.2f}",
        f"{1e3 * m['ours_s']:.0f}",
        f"{1e3 * m['plain_s']:.0f}",
    ]
    return [
        *cells,
        m["plain"],
        str(m["rows"]),
        str(m["tokens"]),
        str(m["padded"]),
        f"{m['caching']:.2f}",
    ]


WORDS = """
- **ratio**: median over rounds of (our step / plain step), spread its smallest and largest round;
  **reach**: the number to stay under.
- **plain**: HF Trainer, padded batches, the model's own loss, the same optimizer, on the same rows;
  the faster of one batch and of several accumulated (batches x rows; with a batch per stream each
  holds one stream's rows, which is the kindest to plain).
- **tokens**: real tokens of a step's rows; **padded**: positions that plain spends on them.
- **limit**: weight products that the method cannot avoid (every real token forward and backward
  through the blocks that its loss reaches, every scored token through the head) over those that
  plain spends; **x limit**: how far the ratio is from it.
- **caching**: measuring what is needed of the start model for a step's rows, in plain steps; paid
  once per distinct row, not in every step.
"""
MEMORY = (
    "\nPeak memory in MB of a fresh process that trains four steps; each asserts that exactly "
    "one model and its parameters live in it.\n\n"
)


def report(
    results: Sequence[Mapping[str, Any]],
    reach: Mapping[str, float],
    options: argparse.Namespace,
    where: str,
) -> str:
    """The result as Markdown. ``where``: the machine in words."""
    unit = "CPU seconds of one thread" if options.device == "cpu" else "wall seconds, synchronized"
    model = (
        f"Llama of random weights ({options.random_llama})"
        if options.random_llama
        else "the peer's 4-layer checkpoint"
    )
    made = (
        f"Model: {model}, {options.dtype}; {options.batch} forget rows a step; {options.rounds} "
        f"rounds of {options.steps} steps; {unit}."
    )
    text = (
        f"# Step time against plain fine-tuning\n\n`python benchmarks/step_time.py "
        f"{asked(sys.argv[1:])}`\n\n"
    )
    text += (
        f"{where}. {made}\n\n{table(HEAD, [line(m, reach[m['method']]) for m in results])}\n{WORDS}"
    )
    if not options.memory:
        return text
    rows = [
        [m["method"], f"{m['peak'] / 2**20:.0f}", f"{m['plain_peak'] / 2**20:.0f}"] for m in results
    ]
    return text + MEMORY + table(("method", "ours", "plain"), rows) + "\n"
