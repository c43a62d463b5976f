"""Plain fine-tuning with HF Trainer, and callbacks that time steps and count models."""

from __future__ import annotations

import gc
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from _common import Clock
from torch import Tensor
from torch.utils.data import DataLoader
from transformers import GenerationMixin, PrinterCallback, Trainer, TrainerCallback

from expunge.core.data import Row
from expunge.models.causal_lm.model import Subject
from expunge.training.sampler import Training, Unit
from expunge.training.trainer import arguments


def batches_of(units: Sequence[Unit], cuts: int, seed: int) -> list[list[Row]]:
    """A step's rows as ``cuts`` batches of plain fine-tuning, rows in random order.

    With a cut per stream each batch holds one stream's rows: the kindest to plain, whose short
    refusals are then not padded to the length of answers.
    """
    rng = random.Random(seed)
    streams = [[u[s] for u in units] for s in units[0]]
    for rows in streams:
        rng.shuffle(rows)
    if cuts == len(streams):
        return streams
    rows = [r for stream in streams for r in stream]
    rng.shuffle(rows)
    return [rows[i::cuts] for i in range(cuts)]


def padded(rows: Sequence[Row]) -> dict[str, Tensor]:
    """Rows side by side with padding on the right, as every collator makes them: input_ids,
    attention_mask, labels.
    """
    width = max(map(len, rows))
    ids, mask, labels = (
        torch.full((len(rows), width), fill, dtype=torch.long) for fill in (0, 0, -100)
    )
    for i, row in enumerate(rows):
        n = len(row)
        ids[i, :n], mask[i, :n] = torch.tensor(row.ids), 1
        labels[i, :n] = torch.tensor(
            [t if s else -100 for t, s in zip(row.ids, row.scored, strict=True)]
        )
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


class Plain(Trainer):
    """HF Trainer as it is, fed with given batches in their order."""

    def __init__(self, *args: Any, batches: Sequence[Sequence[Row]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.batches = batches

    def get_train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(
            list(self.batches), batch_size=1, collate_fn=lambda items: padded(items[0])
        )  # type: ignore[arg-type]


def fine_tune(
    subject: Subject,
    steps: Sequence[Sequence[Unit]],
    cuts: int,
    training: Training,
    folder: Path,
    callbacks: Sequence[TrainerCallback],
) -> None:
    """Plain fine-tuning: each step's rows in ``cuts`` padded batches, gradients accumulated;
    optimizer and settings as in our loop.
    """
    args = arguments(training, len(steps), folder, subject.device)
    args.per_device_train_batch_size = len(batches_of(steps[0], cuts, 0)[0])
    args.gradient_accumulation_steps = cuts
    batches = [b for i, units in enumerate(steps) for b in batches_of(units, cuts, i)]
    trainer = Plain(model=subject.model, args=args, batches=batches, callbacks=list(callbacks))
    trainer.remove_callback(PrinterCallback)
    trainer.train()


@dataclass
class Stopwatch(TrainerCallback):
    """The clock at the end of every optimizer step."""

    clock: Clock
    marks: list[float] = field(default_factory=list)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.marks.append(self.clock())

    @property
    def per_step(self) -> float:
        """Mean seconds from one step's end to the next: fetching, packing or padding, forward,
        backward, optimizer, log.

        The first step, which allocates the optimizer's state, is left out.
        """
        return (self.marks[-1] - self.marks[0]) / (len(self.marks) - 1)


@dataclass
class Census(TrainerCallback):
    """In the middle of training: how many language models live in memory, and the bytes of all
    their parameters.
    """

    models: int = 0
    parameter_bytes: int = 0

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        alive = gc.get_objects()
        self.models = max(self.models, sum(isinstance(x, GenerationMixin) for x in alive))
        held = {p.data_ptr(): p.nbytes for p in alive if isinstance(p, torch.nn.Parameter)}
        self.parameter_bytes = max(self.parameter_bytes, sum(held.values()))
