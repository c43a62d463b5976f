"""The trail of a stage: a line of log.jsonl per step, and the checkpoint from which a killed run goes on."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback

from expunge.core.files import append_line, remove, whole, write_text
from expunge.progress import Tick

if TYPE_CHECKING:
    from expunge.engine.descend import Descending


STEP = re.compile(r"checkpoint-[0-9]{1,12}")


class Journal(TrainerCallback):
    """Appends losses by term to log.jsonl and moves the progress bar."""

    def __init__(self, trainer: Descending, file: Path, tick: Tick) -> None:
        self.trainer, self.file, self.tick = trainer, file, tick
        self.since = time.monotonic()

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.lr = self.trainer._get_learning_rate()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        by_term = self.trainer.by_term
        line = {
            "stage": self.trainer.stage.name,
            "step": state.global_step,
            "loss": sum(by_term.values()),
            **{f"loss/{name}": value for name, value in by_term.items()},
            "lr": self.lr,
            "seconds": round(time.monotonic() - self.since, 3),
        }
        if self.trainer.is_world_process_zero():
            append_line(self.file, json.dumps(line))
        self.tick(1)


def last_whole(folder: Path) -> Path | None:
    """The newest checkpoint whose every file is as it was written; broken newer ones are removed."""
    ours = [p for p in folder.glob("checkpoint-*") if STEP.fullmatch(p.name)]
    found = sorted(ours, key=lambda p: int(p.name.split("-")[1]), reverse=True)
    for place in found:
        if whole(place):
            return place
        remove(place)
    return None


def trim(log: Path, stage: str, step: int) -> None:
    """Drop what a killed run logged of this stage after the checkpoint that it resumes from."""
    if log.exists():
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        kept = [line for line in lines if (e := _entry(line)) and (e["stage"] != stage or e["step"] <= step)]
        write_text(log, "".join(line + "\n" for line in kept))


def _entry(line: str) -> dict[str, Any] | None:
    """A line of the log; None if it was cut off by the kill or is none of ours."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    ours = isinstance(found, dict) and isinstance(found.get("stage"), str) and isinstance(found.get("step"), int)
    return found if ours else None
