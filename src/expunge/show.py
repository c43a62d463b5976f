"""What commands print: a run's measurements, answers side by side. Control characters of a model's text never reach the terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from pathlib import Path

from expunge.report.parse import read_measurements


def plain(text: str) -> str:
    """The text without control and format characters (a model can write escape codes too); line breaks become spaces."""
    return "".join(" " if c in "\r\n\t" else "" if unicodedata.category(c) in ("Cc", "Cf") else c for c in text)


def measurements(folder: Path) -> None:
    """The measurements of a finished run as a table, and where they are."""
    from rich.console import Console

    from expunge.report.terminal import listing

    console = Console()
    console.print(listing(read_measurements(folder / "measurements.json") or {}, title=folder.name))
    console.print(str(folder / "measurements.json"), style="dim", highlight=False, markup=False)


def answers(question: str, said: Mapping[str, str]) -> None:
    """The answers of one or two models to a question, one under the other."""
    width = max(len(name) for name in said)
    print(f"{'question':<{max(width, 8)}}  {plain(question)}")
    for name, text in said.items():
        print(f"{name:<{max(width, 8)}}  {plain(text) or '(nothing)'}")
