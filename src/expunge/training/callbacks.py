"""What happens around an optimizer step: the log, the weights that a mask holds, and the controller
that watches and stops.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor
from transformers import TrainerCallback

from expunge.core.data import Row
from expunge.core.files import append_line
from expunge.core.progress import Tick
from expunge.core.stages import Descent
from expunge.models.base import TrainableModel
from expunge.training.checkpoints import Memory
from expunge.training.sampler import Training, Unit


@dataclass(frozen=True)
class Readings:
    """Where a training is read on its way: the model after some of its steps.

    Attributes:
        steps: The optimizer steps after which it is read.
        reader: Called with the step and the model, which goes on to be trained: the reader keeps
            nothing of it and changes nothing.
    """

    steps: frozenset[int] = frozenset()
    reader: Callable[[int, Any], None] = field(default=lambda step, model: None)


NO_READINGS = Readings()


class StepView(Protocol):
    """What a callback may see of the training loop."""

    stage: Descent
    training: Training
    subject: TrainableModel
    steps: Sequence[Sequence[Unit]]
    masks: Mapping[str, Tensor]
    memory: Memory
    by_term: dict[str, float]

    def trained(self) -> dict[str, Any]:
        """The parameters that the optimizer moves, by name."""
        ...

    def is_world_process_zero(self) -> bool:
        """Whether this process is the one that writes."""
        ...

    def _get_learning_rate(self) -> float: ...


class Journal(TrainerCallback):
    """Appends losses by term to log.jsonl and moves the progress bar."""

    def __init__(self, trainer: StepView, file: Path, tick: Tick) -> None:
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


def rows_of(steps: Sequence[Sequence[Unit]]) -> dict[str, list[Row]]:
    """Every row that a stage's plan meets, once, by stream."""
    met: dict[str, dict[str, Row]] = {}
    for unit in (u for units in steps for u in units):
        for stream, row in unit.items():
            met.setdefault(stream, {}).setdefault(row.id, row)
    return {stream: list(rows.values()) for stream, rows in met.items()}


class Reading(TrainerCallback):
    """Hands the model to a reader after some of the steps; the training goes on to the same bits."""

    def __init__(self, readings: Readings, subject: TrainableModel) -> None:
        self.readings, self.subject = readings, subject

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step not in self.readings.steps:
            return
        # some metrics read gradients; and what the reader draws must not move the draws of the
        # steps that follow
        with self.subject.evaluating(), torch.enable_grad(), torch.random.fork_rng():
            self.readings.reader(state.global_step, self.subject)


class Steering(TrainerCallback):
    """Holds masked entries through the optimizer's step (its decay and momentum included); asks the
    controller after each step.
    """

    def __init__(self, trainer: StepView) -> None:
        self.trainer = trainer
        self.held: dict[str, Tensor] = {}

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        trained = self.trainer.trained()
        self.held = {n: trained[n].detach().clone() for n in self.trainer.masks if n in trained}

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        trained = self.trainer.trained()
        with torch.no_grad():
            for name, before in self.held.items():
                trained[name].copy_(
                    torch.where(self.trainer.masks[name].to(before.device), trained[name], before)
                )

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        controller = self.trainer.stage.controller
        if controller is None:
            return
        if controller.watch is not None and self._due(controller.every, state.global_step):
            self._watch(state.global_step)
        if controller.stop is not None and controller.stop(self.trainer.memory["controller"]):
            control.should_training_stop = True

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == 0:
            self._watch(0)

    def _watch(self, step: int) -> None:
        controller = self.trainer.stage.controller
        if controller is None or controller.watch is None:
            return
        subject = self.trainer.subject
        with subject.evaluating():
            seen = controller.watch(
                subject, step, self.trainer.memory["controller"], rows_of(self.trainer.steps)
            )
        self.trainer.memory["controller"] = dict(seen)

    def _due(self, every: int, step: int) -> bool:
        name = self.trainer.stage.anchor
        anchors = {id(u[name]) for units in self.trainer.steps for u in units}  # ids may repeat
        period = every or math.ceil(len(anchors) / self.trainer.training.step_rows)
        return step % period == 0 or step == len(self.trainer.steps)
